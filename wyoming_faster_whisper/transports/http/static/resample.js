// Resamples audio to 16 kHz while it arrives, with a windowed sinc as low-pass filter.

export const RATE = 16000;
const ZEROS = 16; // zero crossings of the sinc on each side
const FINE = 256; // values of the filter per input sample

export class Resampler {
  constructor(rate) {
    this.step = rate / RATE; // input samples per output sample
    const width = Math.max(1, this.step); // the filter is wider when the rate falls
    this.half = Math.ceil(ZEROS * width);
    this.filter = Float32Array.from({ length: (this.half + 1) * FINE + 1 }, (_, at) => {
      const distance = at / FINE;
      const x = (Math.PI * distance) / width;
      const hann = 0.5 + 0.5 * Math.cos((Math.PI * distance) / (this.half + 1));
      return ((at ? Math.sin(x) / x : 1) * hann) / width;
    });
    this.kept = new Float32Array(this.half); // input that later outputs still need
    this.at = this.half; // position of the next output in this.kept
  }

  // Takes 16-bit samples; returns those of 16 kHz that are complete, as floats.
  push(pcm) {
    if (this.step === 1) return Float32Array.from(pcm, (sample) => sample / 32768);
    const input = new Float32Array(this.kept.length + pcm.length);
    input.set(this.kept);
    for (let at = 0; at < pcm.length; at++) input[this.kept.length + at] = pcm[at] / 32768;
    const ready = input.length - 1 - this.half - this.at;
    const output = new Float32Array(ready < 0 ? 0 : Math.floor(ready / this.step) + 1);
    for (let at = 0; at < output.length; at++) {
      const middle = this.at + at * this.step;
      const end = Math.floor(middle + this.half);
      for (let near = Math.ceil(middle - this.half); near <= end; near++) {
        output[at] += input[near] * this.filter[Math.round(Math.abs(near - middle) * FINE)];
      }
    }
    const next = this.at + output.length * this.step;
    const from = Math.floor(next) - this.half;
    this.kept = input.slice(from);
    this.at = next - from;
    return output;
  }
}
