// Use the API with OpenAI's Node client: openai_sdk.cjs URL CLIP
// Prints JSON: what each call returned, or the error that it threw.

const fs = require("node:fs");
const OpenAI = require("openai");
const { toFile } = OpenAI;

const [url, clip] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const create = (file, more = {}) =>
  client.audio.transcriptions.create({ file, model: "whisper-1", ...more });
const sound = fs.readFileSync(clip);

async function files() {
  const given = {
    "read stream": fs.createReadStream(clip), // chunked, without Content-Length
    buffer: await toFile(sound), // without a name
    "File with a type": new File([sound], "audio.webm", { type: "audio/webm;codecs=opus" }),
    Blob: await toFile(new Blob([sound]), "ü.ogg"),
  };
  const texts = {};
  for (const [name, file] of Object.entries(given)) {
    texts[name] = (await create(file)).text;
  }
  return texts;
}

async function formats() {
  const answers = {};
  for (const format of ["json", "text", "srt", "vtt", "verbose_json"]) {
    answers[format] = await create(fs.createReadStream(clip), { response_format: format });
  }
  return answers;
}

const words = async () =>
  create(fs.createReadStream(clip), {
    response_format: "verbose_json",
    timestamp_granularities: ["word"],
    temperature: 0,
    language: "en",
  });

async function stream() {
  const events = [];
  for await (const event of await create(fs.createReadStream(clip), {
    stream: true,
    chunking_strategy: { type: "server_vad", silence_duration_ms: 500 },
  })) {
    events.push(event);
  }
  return events;
}

async function blob() {
  // A browser's Blob has no name; the client does not send it as a file by itself.
  const form = new FormData();
  form.append("file", new Blob([sound]));
  form.append("model", "whisper-1");
  const response = await fetch(`${url}/v1/audio/transcriptions`, { method: "POST", body: form });
  return response.json();
}

async function thrown(call) {
  try {
    await call();
  } catch (error) {
    const { status, code, param, message, requestID } = error;
    return { class: error.constructor.name, status, code, param, message, requestID };
  }
}

async function errors() {
  return {
    model: await thrown(() => create(fs.createReadStream(clip), { model: "gpt-5" })),
    text: await thrown(async () => create(await toFile(Buffer.from("this is not audio")))),
    temperature: await thrown(() => create(fs.createReadStream(clip), { temperature: 2 })),
  };
}

async function models() {
  const list = [];
  for await (const model of client.models.list()) list.push(model.id);
  return { list, retrieved: (await client.models.retrieve("Systran/faster-whisper-base")).id };
}

async function main() {
  const { data, response } = await create(fs.createReadStream(clip)).withResponse();
  console.log(
    JSON.stringify({
      files: await files(),
      formats: await formats(),
      words: await words(),
      stream: await stream(),
      blob: await blob(),
      errors: await errors(),
      models: await models(),
      requestID: data._request_id,
      header: response.headers.get("x-request-id"),
    }),
  );
}

main();
