"""The audio of one utterance while it grows. Pure."""

from __future__ import annotations

import numpy as np

from .pcm import SAMPLE_RATE, PcmFormat, Samples, decode_pcm


class Recording:
    """The sound of one utterance as it grows, 2 bytes a sample.

    Kept as 16-bit: half the memory of what the model takes, and no different
    to the ear or the model (the noise of rounding is at -98 dB).
    """

    def __init__(self) -> None:
        self._pcm = bytearray()

    def __len__(self) -> int:
        """Samples so far."""
        return len(self._pcm) // 2

    def __repr__(self) -> str:
        return f"<Recording {self.seconds:.2f} s>"

    @property
    def seconds(self) -> float:
        return len(self) / SAMPLE_RATE

    def append(self, samples: Samples) -> None:
        scaled = np.clip(np.rint(samples * 32768), -32768, 32767)
        self._pcm += scaled.astype("<i2").tobytes()

    def clear(self) -> None:
        """Hold nothing any more."""
        self._pcm = bytearray()

    def pcm(self, start: int, end: int) -> bytes:
        """A copy of samples[start:end] as they are kept: PcmFormat()."""
        return bytes(self._pcm[2 * start : 2 * end])

    def samples(self, start: int = 0, end: int | None = None) -> Samples:
        """A copy of samples[start:end]."""
        stop = len(self) if end is None else end
        return decode_pcm(self.pcm(start, stop), PcmFormat())
