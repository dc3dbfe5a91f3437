// Audio of the microphone → PCM of 16 ms, 16-bit.
const SAMPLES = 256;

class Frames extends AudioWorkletProcessor {
  pcm = new Int16Array(SAMPLES);
  filled = 0;

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.pcm[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled === SAMPLES) {
        this.port.postMessage(this.pcm.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("frames", Frames);
