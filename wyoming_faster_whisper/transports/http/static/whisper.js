// Whisper in the browser: encoder and greedy decoder over onnxruntime-web. The graphs are those of
// the server (engine/onnx/whisper/writer.py).

import { HOP, Spectrogram } from "./mel.js";

const RATE = 16000;
const FLOOR = 10; // seconds; in shorter windows the models loop
const FULL = 30; // seconds of the window that they were trained on
const MARGIN = 1; // seconds of padding after the audio, at least
const POSITIONS = 448; // of the decoder, with the prompt
const HEAD = 64;
const NOISE = { probability: 0.6, logprob: -1 }; // of no speech; Whisper's own thresholds

export class Whisper {
  // sessions: { encoder, decoder }; files: { mel, vocabulary } as ArrayBuffers.
  constructor(ort, sessions, files, model) {
    this.ort = ort;
    this.sessions = sessions;
    this.model = model;
    this.spectrogram = new Spectrogram(new Float32Array(files.mel));
    this.vocabulary = spelled(new Uint8Array(files.vocabulary));
    const names = sessions.decoder.inputNames;
    this.past = names.filter((name) => name.startsWith("past."));
    this.cross = names.filter((name) => name.startsWith("cross."));
  }

  async release() {
    for (const session of Object.values(this.sessions)) await session.release();
  }

  // Decodes a clip of at most 30 s; language is a code, or null to detect it. A text that loops is
  // decoded once more over the full window.
  async decode(samples, language) {
    const seconds = samples.length / RATE;
    const short = await this.pass(samples, language, Math.max(FLOOR, Math.ceil(seconds + MARGIN)));
    if (!short.loops) return short;
    const long = await this.pass(samples, language, FULL);
    return long.loops && long.logprob < short.logprob ? short : long;
  }

  async pass(samples, language, seconds) {
    const cross = await this.encode(samples, Math.min(FULL, seconds));
    try {
      language ??= await this.detect(cross);
      const { start, transcribe, no_times: noTimes } = this.model.tokens;
      const spoken = this.model.tokens.languages[language];
      const prompt = this.model.multilingual ? [start, spoken ?? start + 1, transcribe, noTimes] : [start, noTimes];
      return { language, ...(await this.write(cross, prompt, samples.length / RATE, language)) };
    } finally {
      for (const tensor of Object.values(cross)) tensor.dispose();
    }
  }

  async encode(samples, seconds) {
    const { data, frames } = this.spectrogram.features(samples);
    const { bands } = this.spectrogram;
    const width = (seconds * RATE) / HOP;
    const padded = new Float32Array(bands * width); // padding is 0, as on the server
    for (let band = 0; band < bands; band++) {
      const row = data.subarray(band * frames, band * frames + Math.min(frames, width));
      padded.set(row, band * width);
    }
    return this.sessions.encoder.run({ features: new this.ort.Tensor("float32", padded, [1, bands, width]) });
  }

  async detect(cross) {
    if (!this.model.multilingual) return "en";
    const { logits } = await this.step(cross, [this.model.tokens.start], null, [0]);
    const likelihood = ([, token]) => logits.data[token];
    const all = Object.entries(this.model.tokens.languages);
    return all.reduce((best, each) => (likelihood(each) > likelihood(best) ? each : best))[0];
  }

  // Writes tokens until the text ends, its budget is spent, or it loops.
  async write(cross, prompt, seconds, language) {
    const { tokens: special, suppressed, suppressed_first: first } = this.model;
    const rate = this.model.tokens_per_second[language] ?? this.model.most_tokens_per_second;
    const budget = Math.min(POSITIONS - prompt.length, 10 + Math.ceil(rate * seconds));
    let { logits, past } = await this.step(cross, prompt, null, [0, prompt.length - 1]);
    const size = logits.dims[2];
    const noSpeech = Math.exp(logprob(logits.data.subarray(0, size), special.no_speech));
    const tokens = [];
    let total = 0, repeat = 0, ended = false;
    while (tokens.length < budget) {
      const row = logits.data.subarray(logits.data.length - size);
      for (const token of suppressed) row[token] = -Infinity;
      if (!tokens.length) for (const token of first) row[token] = -Infinity;
      const best = highest(row);
      total += logprob(row, best);
      ended = best === special.end;
      if (ended) break;
      tokens.push(best);
      repeat = loop(tokens);
      if (repeat) break;
      ({ logits, past } = await this.step(cross, [best], past, [0]));
    }
    for (const tensor of Object.values(past)) tensor.dispose();
    const mean = total / (tokens.length + 1);
    const silent = noSpeech > NOISE.probability && mean < NOISE.logprob;
    const kept = repeat ? tokens.slice(0, repeat) : tokens;
    return { text: silent ? "" : this.text(kept), logprob: mean, noSpeech, loops: !ended };
  }

  async step(cross, tokens, past, wanted) {
    const { Tensor } = this.ort;
    const whole = (numbers) => BigInt64Array.from(numbers, BigInt);
    const heads = cross[this.cross[0]].dims[1];
    const nothing = () => new Tensor("float32", new Float32Array(0), [1, heads, 0, HEAD]);
    const feeds = {
      tokens: new Tensor("int64", whole(tokens), [1, tokens.length]),
      parents: new Tensor("int64", whole([0]), [1]),
      wanted: new Tensor("int64", whole(wanted), [wanted.length]),
      ...cross,
      ...(past ?? Object.fromEntries(this.past.map((name) => [name, nothing()]))),
    };
    const fetches = ["logits", ...this.past.map((name) => name.replace("past", "present"))];
    const found = await this.sessions.decoder.run(feeds, fetches);
    if (past) for (const tensor of Object.values(past)) tensor.dispose();
    const next = this.past.map((name) => [name, found[name.replace("past", "present")]]);
    return { logits: found.logits, past: Object.fromEntries(next) };
  }

  text(tokens) {
    const bytes = tokens.filter((token) => token < this.model.tokens.end).flatMap((token) => [...this.vocabulary[token]]);
    return new TextDecoder().decode(Uint8Array.from(bytes)).trim();
  }
}

// Reads the bytes of each token: a byte with their number before them.
function spelled(data) {
  const tokens = [];
  for (let at = 0; at < data.length; at += 1 + data[at]) tokens.push(data.subarray(at + 1, at + 1 + data[at]));
  return tokens;
}

function highest(row) {
  let best = 0;
  for (let at = 1; at < row.length; at++) if (row[at] > row[best]) best = at;
  return best;
}

function logprob(row, token) {
  const most = row[highest(row)];
  let total = 0;
  for (const value of row) total += Math.exp(value - most);
  return row[token] - most - Math.log(total);
}

// Returns the number of tokens before the repetitions at the end of a text, with one of them; 0
// if nothing is repeated so often that it is a loop.
export function loop(tokens) {
  for (let size = 1; size <= tokens.length / 3; size++) {
    const times = size < 3 ? 6 : 3; // people do say "no, no, no"
    let same = 0;
    while (same < tokens.length - size && tokens.at(-1 - same) === tokens.at(-1 - same - size)) same++;
    if (same >= size * (times - 1)) return tokens.length - same;
  }
  return 0;
}
