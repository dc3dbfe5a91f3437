// Log-mel spectrogram, the input of Whisper; the same values as engine/whisper/spectrogram.py.

const SIZE = 400; // samples of a window, 25 ms at 16 kHz
export const HOP = 160; // samples between two windows
const BINS = SIZE / 2 + 1;
const ROWS = 16, COLUMNS = 25; // SIZE = ROWS * COLUMNS, for the Fourier transform

// Fourier transform of 400 complex values, as 25 transforms of 16 values and 16 of 25.
class Fourier {
  constructor() {
    this.rows = turns(ROWS, ROWS, ROWS);
    this.columns = turns(COLUMNS, COLUMNS, COLUMNS);
    this.between = turns(ROWS, COLUMNS, SIZE);
    this.real = new Float64Array(SIZE);
    this.imaginary = new Float64Array(SIZE);
    this.middle = { real: new Float64Array(SIZE), imaginary: new Float64Array(SIZE) };
  }

  // Transforms this.real and this.imaginary in place.
  run() {
    const { real, imaginary, middle, between } = this;
    for (let column = 0; column < COLUMNS; column++) {
      transform(this.rows, ROWS, this, column, COLUMNS, middle, column, COLUMNS);
    }
    for (let at = 0; at < SIZE; at++) {
      const x = middle.real[at], y = middle.imaginary[at];
      middle.real[at] = x * between.cos[at] - y * between.sin[at];
      middle.imaginary[at] = x * between.sin[at] + y * between.cos[at];
    }
    for (let row = 0; row < ROWS; row++) {
      transform(this.columns, COLUMNS, middle, row * COLUMNS, 1, { real, imaginary }, row, ROWS);
    }
  }
}

// Returns cosine and negative sine of row * column / size turns.
function turns(rows, columns, size) {
  const cos = new Float64Array(rows * columns), sin = new Float64Array(rows * columns);
  for (let at = 0; at < rows * columns; at++) {
    const angle = (2 * Math.PI * ((Math.floor(at / columns) * (at % columns)) % size)) / size;
    cos[at] = Math.cos(angle);
    sin[at] = -Math.sin(angle);
  }
  return { cos, sin };
}

// Transforms size values of one array into another; each array has a first index and a step.
function transform({ cos, sin }, size, from, first, step, to, start, stride) {
  const { real, imaginary } = from;
  for (let k = 0; k < size; k++) {
    let x = 0, y = 0;
    for (let n = 0, at = first, turn = k * size; n < size; n++, at += step, turn++) {
      x += real[at] * cos[turn] - imaginary[at] * sin[turn];
      y += real[at] * sin[turn] + imaginary[at] * cos[turn];
    }
    to.real[start + k * stride] = x;
    to.imaginary[start + k * stride] = y;
  }
}

export class Spectrogram {
  // filters: weights of the mel bands, bands * 201 values.
  constructor(filters) {
    this.bands = filters.length / BINS;
    this.filters = Array.from({ length: this.bands }, (_, band) => {
      const row = filters.subarray(band * BINS, (band + 1) * BINS);
      const first = row.findIndex((weight) => weight > 0);
      const last = row.findLastIndex((weight) => weight > 0);
      return { first: Math.max(0, first), weights: row.slice(Math.max(0, first), last + 1) };
    });
    this.hann = Float64Array.from({ length: SIZE }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / SIZE));
    this.fourier = new Fourier();
  }

  // Returns the features of samples (16 kHz, mono, more than 200): { data, frames }, where data
  // has frames values for each band.
  features(samples) {
    const frames = Math.floor(samples.length / HOP) + 1;
    const data = new Float32Array(this.bands * frames);
    const { real, imaginary } = this.fourier;
    for (let frame = 0; frame < frames; frame += 2) {
      // Two real windows are the real and the imaginary part of one transform.
      for (let at = 0; at < SIZE; at++) {
        real[at] = this.hann[at] * sampleAt(samples, frame * HOP + at);
        imaginary[at] = this.hann[at] * sampleAt(samples, (frame + 1) * HOP + at);
      }
      this.fourier.run();
      this.store(data, frames, frame);
    }
    let loudest = -10;
    for (let at = 0; at < data.length; at++) {
      data[at] = Math.log10(Math.max(data[at], 1e-10));
      if (data[at] > loudest) loudest = data[at];
    }
    for (let at = 0; at < data.length; at++) data[at] = (Math.max(data[at], loudest - 8) + 4) / 4;
    return { data, frames };
  }

  store(data, frames, frame) {
    const { real, imaginary } = this.fourier;
    const powers = [new Float32Array(BINS), new Float32Array(BINS)];
    for (let k = 0; k < BINS; k++) {
      const mirrored = (SIZE - k) % SIZE;
      const even = real[k] + real[mirrored], odd = real[k] - real[mirrored];
      const sum = imaginary[k] + imaginary[mirrored], difference = imaginary[k] - imaginary[mirrored];
      powers[0][k] = (even * even + difference * difference) / 4;
      powers[1][k] = (sum * sum + odd * odd) / 4;
    }
    for (let half = 0; half < 2 && frame + half < frames; half++) {
      this.filters.forEach(({ first, weights }, band) => {
        let total = 0;
        for (let at = 0; at < weights.length; at++) total += weights[at] * powers[half][first + at];
        data[band * frames + frame + half] = total;
      });
    }
  }
}

// The sample of a window: half a window before the first one is mirrored, a hop of silence follows
// the last one, and half a window after that is mirrored too.
function sampleAt(samples, at) {
  const end = samples.length + HOP;
  at -= SIZE / 2;
  if (at < 0) at = -at;
  if (at >= end) at = 2 * (end - 1) - at;
  return at < samples.length ? samples[at] : 0;
}
