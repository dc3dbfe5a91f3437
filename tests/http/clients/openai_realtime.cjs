// Transcribe a stream with OpenAI's Node client: openai_realtime.cjs URL PCM [beta]
// PCM is raw, 16-bit, 24 kHz, mono. The client always uses TLS. `beta` uses its older class, and
// the names of the events before August 2025. Prints JSON.

const fs = require("node:fs");
const OpenAI = require("openai");

const [url, pcm, beta] = process.argv.slice(2);
const { OpenAIRealtimeWS } = require(beta ? "openai/beta/realtime/ws" : "openai/realtime/ws");
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const sound = fs.readFileSync(pcm);
const vad = { type: "server_vad", silence_duration_ms: 500 };
const transcription = { model: "whisper-1", language: "en" };
const audio = {
  input: { format: { type: "audio/pcm", rate: 24000 }, transcription, turn_detection: vad },
};
const update = beta
  ? {
      type: "transcription_session.update",
      session: {
        input_audio_format: "pcm16",
        input_audio_transcription: transcription,
        turn_detection: vad,
      },
    }
  : { type: "session.update", session: { type: "transcription", audio } };

const types = [];
const connection = new OpenAIRealtimeWS({ model: "whisper-1" }, client);

function end(answer) {
  console.log(JSON.stringify({ types, ...answer }));
  connection.close();
}

connection.socket.on("open", () => {
  connection.send(update);
  for (let at = 0; at < sound.length; at += 4800) {
    const piece = sound.subarray(at, at + 4800).toString("base64");
    connection.send({ type: "input_audio_buffer.append", audio: piece });
  }
});
connection.on("event", (event) => {
  types.push(event.type);
  if (event.type === "conversation.item.input_audio_transcription.completed") {
    end({ transcript: event.transcript });
  }
});
connection.on("error", (error) => {
  end({ error: error.message });
});
