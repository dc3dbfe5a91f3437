"""Buffer for the audio of one utterance. Pure."""

from __future__ import annotations

from .pcm import SAMPLE_RATE, PcmFormat, Samples, decode_pcm, to_pcm16

_FORMAT = PcmFormat()


class Recording:
    """Growing audio of one utterance, stored as 16-bit samples.

    That takes 32 KB per second, half the memory of float32, so the default limit holds half a
    minute for each of 250 clients. Audio becomes float32 once on the way in, for the high-pass
    filter. Rounding its output and converting it back once per VAD window and once per decode
    takes 2% of the CPU time of listening. The rounding noise, at -98 dB, makes no difference to a
    listener or to the model.

    Audio that is no longer needed can be freed from the beginning. Positions are always counted
    from the first sample of the utterance.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._freed = 0  # samples

    def __len__(self) -> int:
        """Return the number of samples so far, with those that have been freed."""
        return self._freed + self.stored

    @property
    def stored(self) -> int:
        """Number of samples in memory."""
        return len(self._pcm) // 2

    def __repr__(self) -> str:
        return f"<Recording {self.seconds:.2f} s>"

    @property
    def seconds(self) -> float:
        return len(self) / SAMPLE_RATE

    def append(self, samples: Samples) -> None:
        self._pcm += to_pcm16(samples)

    def append_pcm(self, pcm: bytes) -> None:
        """Append 16-bit PCM, as pcm() returns it."""
        self._pcm += pcm

    def truncate(self, end: int) -> None:
        """Drop the samples from `end` on."""
        del self._pcm[2 * max(0, end - self._freed) :]

    def free(self, before: int) -> int:
        """Free the samples before a position.

        Returns:
            The number of samples that this call freed.
        """
        count = min(max(0, before - self._freed), self.stored)
        del self._pcm[: 2 * count]  # moves nothing: a bytearray may begin inside its block
        self._freed += count
        return count

    def clear(self) -> None:
        """Drop all audio and free its memory."""
        self._pcm, self._freed = bytearray(), 0

    def pcm(self, start: int, end: int) -> bytes:
        """Return a copy of samples start to end (exclusive) as 16-bit PCM, PcmFormat()."""
        assert start >= self._freed, f"sample {start} has been freed"
        return bytes(self._pcm[2 * (start - self._freed) : 2 * max(0, end - self._freed)])

    def samples(self, start: int = 0, end: int | None = None) -> Samples:
        """Return a copy of samples start to end (exclusive); None = to the end."""
        # A copy: a view would keep the recording from growing.
        return decode_pcm(self.pcm(start, len(self) if end is None else end), _FORMAT)
