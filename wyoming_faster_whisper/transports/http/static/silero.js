// Silero VAD: where there is speech. The same model as on the server (speech/vad.py).

export const WINDOW = 512; // samples, 32 ms
const CONTEXT = 64; // samples of the window before, which precede each window
const SPEECH = 0.5; // probability above which a window is speech
const PAUSE = 12; // windows of silence within one stretch of speech: 0.4 s
const LEAST = 3; // windows; a shorter stretch is a click

export class Vad {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
    this.reset();
  }

  reset() {
    this.h = new this.ort.Tensor("float32", new Float32Array(128), [1, 1, 128]);
    this.c = this.h;
    this.context = new Float32Array(CONTEXT);
    this.rest = new Float32Array(0);
  }

  // Takes samples of a stream; returns the probabilities of the windows that are complete.
  async feed(samples) {
    const whole = new Float32Array(this.rest.length + samples.length);
    whole.set(this.rest);
    whole.set(samples, this.rest.length);
    const count = Math.floor(whole.length / WINDOW);
    this.rest = whole.slice(count * WINDOW);
    if (!count) return new Float32Array(0);
    const rows = new Float32Array(count * (CONTEXT + WINDOW));
    for (let row = 0; row < count; row++) {
      const before = row ? whole.subarray(row * WINDOW - CONTEXT, row * WINDOW) : this.context;
      rows.set(before, row * (CONTEXT + WINDOW));
      rows.set(whole.subarray(row * WINDOW, (row + 1) * WINDOW), row * (CONTEXT + WINDOW) + CONTEXT);
    }
    this.context = whole.slice(count * WINDOW - CONTEXT, count * WINDOW);
    const input = new this.ort.Tensor("float32", rows, [count, CONTEXT + WINDOW]);
    const { inputNames, outputNames } = this.session;
    const found = await this.session.run({ [inputNames[0]]: input, h: this.h, c: this.c });
    this.h = found[outputNames[1]];
    this.c = found[outputNames[2]];
    return found[outputNames[0]].data;
  }
}

// Returns the stretches of speech, each with its first sample and the one after its last.
export function stretches(probabilities) {
  const found = [];
  probabilities.forEach((probability, at) => {
    if (probability < SPEECH) return;
    const last = found.at(-1);
    if (last && at - last.end < PAUSE) last.end = at + 1;
    else found.push({ start: at, end: at + 1 });
  });
  return found
    .filter(({ start, end }) => end - start >= LEAST)
    .map(({ start, end }) => ({ start: start * WINDOW, end: end * WINDOW }));
}

// Tells when speech begins and when the utterance has ended, from the probabilities of
// a stream. mark is "begun" or "ended" at the window where that becomes certain, else "".
export class Ending {
  constructor(silence) {
    this.silence = Math.round((silence * 16000) / WINDOW); // windows that end an utterance
    this.loud = 0; // windows of speech in a row
    this.quiet = 0; // windows without speech in a row
    this.begun = false;
  }

  add(probability) {
    this.loud = probability > SPEECH ? this.loud + 1 : 0;
    this.quiet = probability > SPEECH ? 0 : this.quiet + 1;
    if (!this.begun && this.loud === LEAST) {
      this.begun = true;
      return "begun";
    }
    return this.begun && this.quiet === this.silence ? "ended" : "";
  }
}

// Joins stretches to clips of at most some samples; a stretch that is longer is cut.
export function clips(speech, length, longest, margin) {
  const found = [];
  for (const { start, end } of speech) {
    const from = Math.max(0, start - margin), to = Math.min(length, end + margin);
    const last = found.at(-1);
    if (last && to - last.start <= longest) {
      last.end = to;
      continue;
    }
    for (let at = Math.max(from, last?.end ?? 0); at < to; at += longest) {
      found.push({ start: at, end: Math.min(to, at + longest) });
    }
  }
  return found;
}
