// Transcribe a file with OpenAI's Node client, which retries: retries.cjs URL CLIP
// It does not send a read stream a second time, so the file is in memory.

const fs = require("node:fs");
const OpenAI = require("openai");

async function main() {
  const [url, clip] = process.argv.slice(2);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
  const file = await OpenAI.toFile(fs.readFileSync(clip), "timer.wav");
  console.log(JSON.stringify(await client.audio.transcriptions.create({ file, model: "whisper-1" })));
}

main();
