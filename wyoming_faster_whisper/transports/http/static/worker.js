// The recogniser of this device, in a thread of its own: loads the files that the page has stored,
// and turns audio into text. Nothing here uses the network.

import { clips, stretches, Vad } from "./silero.js";
import { Whisper } from "./whisper.js";

const RATE = 16000;
const LONGEST = 28 * RATE; // samples of a clip: it must fit into the window of 30 s
const MARGIN = 0.4 * RATE; // samples around speech that belong to it

const SLOW = 600; // ms for a second of silence; a CPU takes about as long

let recogniser = null;
let last = Promise.resolve(); // one thing at a time: the runtime is not reentrant

onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};

async function answer({ id, type, ...asked }) {
  try {
    const found = type === "load" ? await load(asked) : await recogniser[type](asked);
    postMessage({ id, ...found });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
}

// urls: of the files, by name; gpu: whether the graphs for WebGPU are used; threads: of the CPU.
async function load({ cacheName, urls, model, gpu, threads }) {
  const started = performance.now();
  const cache = await caches.open(cacheName);
  const stored = async (name) => {
    const response = await cache.match(urls[name]);
    if (!response) throw new Error(`${name} is missing in this browser's storage`);
    return response.arrayBuffer();
  };
  const build = gpu ? "asyncify." : "";
  const runtime = `ort-wasm-simd-threaded.${build}`;
  const ort = await import(urls[gpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs"]);
  ort.env.wasm.wasmPaths = { mjs: urls[`${runtime}mjs`] };
  ort.env.wasm.wasmBinary = await stored(`${runtime}wasm`);
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const open = async (side, kind, providers) => {
    const graph = new Uint8Array(await stored(`${side}.${kind}.onnx`));
    const data = new Uint8Array(await stored(`${side}.weights`));
    return ort.InferenceSession.create(graph, {
      executionProviders: providers,
      externalData: [{ path: `${side}.weights`, data }],
    });
  };
  const sessions = async (kind, providers) => ({
    encoder: await open("encoder", kind, providers),
    decoder: await open("decoder", kind, providers),
  });
  const files = { mel: await stored("mel.bin"), vocabulary: await stored("vocabulary.bin") };
  let where = "WebGPU";
  let whisper = gpu ? await onGraphicsCard(async () => new Whisper(ort, await sessions("float", ["webgpu"]), files, model)) : null;
  if (!whisper) {
    where = `${threads} thread${threads > 1 ? "s" : ""}`;
    whisper = new Whisper(ort, await sessions("integer", ["wasm"]), files, model);
  }
  const vad = await ort.InferenceSession.create(await stored("vad.onnx"), { executionProviders: ["wasm"] });
  recogniser = new Recogniser(new Vad(ort, vad), whisper);
  return { where, seconds: (performance.now() - started) / 1000 };
}

// Returns a recogniser on the graphics card; null if that cannot do it, or is slower than a CPU.
async function onGraphicsCard(make) {
  try {
    const whisper = await make();
    await whisper.decode(new Float32Array(RATE), "en"); // compiles the programs of the card
    const started = performance.now();
    await whisper.decode(new Float32Array(RATE), "en");
    if (performance.now() - started < SLOW) return whisper;
    await whisper.release();
  } catch {
    // The CPU can do it.
  }
  return null;
}

class Recogniser {
  constructor(vad, whisper) {
    this.vad = vad;
    this.whisper = whisper;
  }

  // Turns samples (16 kHz, mono) into text.
  async decode({ samples, language }) {
    const started = performance.now();
    this.vad.reset();
    const padded = new Float32Array(samples.length + RATE / 4);
    padded.set(samples);
    const speech = stretches(await this.vad.feed(padded));
    const found = [];
    for (const { start, end } of clips(speech, samples.length, LONGEST, MARGIN)) {
      const one = await this.whisper.decode(samples.subarray(start, end), language);
      found.push(one);
    }
    return {
      text: found.map(({ text }) => text).filter(Boolean).join(" "),
      language: found[0]?.language ?? null,
      seconds: (performance.now() - started) / 1000,
    };
  }

  // Listens to a stream: returns the probability of speech of each window of 32 ms.
  async hear({ samples, first }) {
    if (first) this.vad.reset();
    return { probabilities: await this.vad.feed(samples) };
  }
}
