// Transcribe a file with OpenAI's Node client, which retries: retries.cjs URL CLIP

const fs = require("node:fs");
const OpenAI = require("openai");

const [url, clip] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
client.audio.transcriptions
  .create({ file: fs.createReadStream(clip), model: "whisper-1" })
  .then((answer) => console.log(JSON.stringify(answer)));
