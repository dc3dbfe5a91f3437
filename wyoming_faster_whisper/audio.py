"""The one internal format, and how everything else becomes it.

Inside the server sound is float32, 16 kHz, mono, -1 to 1. It arrives as PCM of
many widths, rates and channel counts, in chunks of any length, and now and then
with a RIFF header that somebody forgot to strip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from .downmix import Downmix, Frames
from .errors import AudioError, printable

SAMPLE_RATE = 16_000
"""Samples per second of all audio inside the server."""

RATES = range(8_000, 192_000 + 1)  # Hz; lower invites x15,000 resampling bombs
WIDTHS = range(1, 4 + 1)  # bytes per sample
CHANNELS = range(1, 8 + 1)

Samples = npt.NDArray[np.float32]
"""Mono samples at SAMPLE_RATE, shape (n,), -1 to 1."""

# A WAV header is 44 bytes; LIST chunks before the data make it longer. What
# has no data chunk within this many bytes is not a header.
_RIFF_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How raw audio bytes are to be read: little-endian, interleaved channels.

    8 bit is unsigned, 16, 24 and 32 bit are signed, as in a WAV file.

    Raises:
        AudioError: a rate, width or channel count that we do not take.
    """

    rate: int = SAMPLE_RATE  # Hz
    width: int = 2  # bytes per sample
    channels: int = 1

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.rate, RATES, "Hz"),
            (self.width, WIDTHS, "bytes per sample"),
            (self.channels, CHANNELS, "channels"),
        ):
            if value not in allowed:
                raise AudioError(
                    f"audio has {printable(value, 20)} {what}; "
                    f"we take {allowed[0]} to {allowed[-1]}"
                )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.width * self.channels


class PcmStream:
    """Turns one stream of PCM bytes into samples, whatever the chunking.

    A frame cut in two by a chunk's end is completed by the next chunk; a RIFF
    header at the start is skipped. One stream, one object: the resampler
    remembers what came before.
    """

    def __init__(self, pcm: PcmFormat) -> None:
        self.pcm = pcm
        self._rest = b""  # an incomplete frame, or an undecided header
        self._header = True  # until we know whether a header leads
        self._downmix: Downmix | None = None  # of several channels, from the first sample on
        self._resampler: soxr.ResampleStream | None = None  # likewise

    def feed(self, data: bytes) -> Samples:
        """Take more bytes; return the samples that are complete now."""
        data = self._rest + data
        self._rest = b""
        if self._header:
            start = riff_data_start(data)
            if start is None:
                self._rest = data
                return _NOTHING
            self._header = False
            data = data[start:]
        return self._convert(data, last=False)

    def finish(self) -> Samples:
        """End the stream; return what the resampler and the header check held back."""
        data, self._rest, self._header = self._rest, b"", False
        return self._convert(data, last=True)

    def _convert(self, data: bytes, *, last: bool) -> Samples:
        whole = len(data) - len(data) % self.pcm.frame_bytes
        self._rest = data[whole:]
        samples = self._mono(decode_frames(data[:whole], self.pcm), last=last)
        if self.pcm.rate == SAMPLE_RATE or (self._resampler is None and not len(samples)):
            return samples
        if self._resampler is None:
            self._resampler = soxr.ResampleStream(
                self.pcm.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )
        out: Samples = self._resampler.resample_chunk(samples, last=last)
        return out

    def _mono(self, frames: Frames, *, last: bool) -> Samples:
        if self.pcm.channels == 1:
            return frames[:, 0]
        if self._downmix is None:
            self._downmix = Downmix(self.pcm.channels, self.pcm.rate)
        return self._downmix.mix(frames, last=last)


def slower(samples: Samples, pace: float) -> Samples:
    """Play samples at less than their pace; the pitch falls with it.

    Args:
        pace: 1 = as they are, 0.5 = in twice the time.
    """
    out: Samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE / pace, quality="HQ")
    return out


def decode_pcm(data: bytes, pcm: PcmFormat) -> Samples:
    """Turn whole frames into mono float32 at the stream's own rate; channels are averaged."""
    frames = decode_frames(data, pcm)
    return frames[:, 0] if pcm.channels == 1 else frames.mean(axis=1, dtype=np.float32)


def decode_frames(data: bytes, pcm: PcmFormat) -> Frames:
    """Turn whole frames into float32, shape (n, channels).

    2**(bits - 1) is the divisor everywhere, as in Whisper's own loader, so that 16-bit audio
    comes back exactly.
    """
    flat: Samples
    if pcm.width == 1:
        flat = np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
    elif pcm.width == 3:
        # No 24-bit type: put each sample into the upper bytes of 32 bits.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        flat = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    else:
        flat = np.frombuffer(data, f"<i{pcm.width}").astype(np.float32)
        flat /= np.float32(2 ** (8 * pcm.width - 1))
    return flat.reshape(-1, pcm.channels)


def riff_data_start(data: bytes) -> int | None:
    """Where the audio starts in a stream's first bytes: past a WAV header, if any.

    Returns:
        0 where no WAV header leads, the offset behind the "data" chunk's header
        where one does, None where it takes more bytes to tell.
    """
    if not (data[:4] == b"RIFF"[: len(data)] and data[8:12] == b"WAVE"[: len(data[8:12])]):
        return 0
    at = 12
    while at + 8 <= min(len(data), _RIFF_LIMIT):
        if data[at : at + 4] == b"data":
            return at + 8
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2  # chunks are padded to an even length
    return None if at + 8 <= _RIFF_LIMIT else 0


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


_NOTHING: Samples = np.zeros(0, np.float32)
