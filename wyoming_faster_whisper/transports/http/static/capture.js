// Audio worklet: mixes the microphone's channels to mono and posts 16-bit samples, in order.
// The sample rate is that of the AudioContext; the server resamples.

const BLOCK = 1024; // samples per message: 21 ms at 48 kHz

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.peak = 0;
    this.on = true;
    this.port.onmessage = () => this.end();
  }

  process([input]) {
    if (!this.on) return false;
    const channels = input.length;
    for (let i = 0; channels && i < input[0].length; i++) {
      let sample = 0;
      for (const channel of input) sample += channel[i];
      sample = Math.max(-1, Math.min(1, sample / channels));
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.block[this.filled++] = Math.round(sample * 32767);
      if (this.filled === BLOCK) this.send();
    }
    return true;
  }

  send() {
    const pcm = this.block.slice(0, this.filled).buffer;
    this.port.postMessage({ pcm, peak: this.peak }, [pcm]);
    this.filled = 0;
    this.peak = 0;
  }

  end() {
    this.on = false;
    this.send();
    this.port.postMessage({ ended: true });
  }
}

registerProcessor("capture", Capture);
