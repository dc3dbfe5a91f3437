// Transcribe with Vercel's AI SDK, which checks answers against a strict schema: ai_sdk.cjs URL CLIP

const fs = require("node:fs");
const { createOpenAI } = require("@ai-sdk/openai");
const { experimental_transcribe: transcribe } = require("ai");

const [url, clip] = process.argv.slice(2);
const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const granularities = { timestampGranularities: ["word", "segment"], temperature: 0 };
const calls = {
  bare: ["whisper-1", {}],
  timed: ["whisper-1", granularities],
  "gpt-4o-transcribe": ["gpt-4o-transcribe", { ...granularities, language: "en" }],
};

async function main() {
  const answers = {};
  for (const [name, [model, options]] of Object.entries(calls)) {
    const { text, segments, language, durationInSeconds } = await transcribe({
      model: provider.transcription(model),
      audio: fs.readFileSync(clip),
      providerOptions: { openai: options },
    });
    answers[name] = { text, segments, language, durationInSeconds };
  }
  console.log(JSON.stringify(answers));
}

main();
