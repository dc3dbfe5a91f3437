"""Converts client audio to the server's internal format: float32, 16 kHz, mono, -1 to 1.

Clients send PCM of many widths, rates and channel counts, in chunks of any length, and sometimes
a whole WAV file with its header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from ..errors import AudioError, printable
from .downmix import Downmix, Frames

SAMPLE_RATE = 16_000
"""Samples per second of all audio inside the server."""

RATES = range(8_000, 192_000 + 1)  # Hz; a lower rate lets a client inflate its audio 15,000-fold
WIDTHS = range(1, 4 + 1)  # bytes per sample
CHANNELS = range(1, 8 + 1)

Samples = npt.NDArray[np.float32]
"""Mono samples at SAMPLE_RATE, shape (n,), -1 to 1."""

# WAV format tags.
_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_FMT_BYTES = 26  # bytes read of a "fmt " chunk: up to the tag of an extensible format

_FRAME = SAMPLE_RATE // 50  # samples per level measurement: 20 ms

# A plain WAV header has 44 bytes; metadata, cover art or padding make it longer.
_HEADER_LIMIT = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """Format of raw audio bytes: little-endian, interleaved channels, as in a WAV file.

    8-bit samples are unsigned; 16-, 24- and 32-bit samples are signed integers; 32-bit samples
    may be floating point instead.

    Raises:
        AudioError: the rate, width or channel count is not supported.
    """

    rate: int = SAMPLE_RATE  # Hz
    width: int = 2  # bytes per sample
    channels: int = 1
    floating: bool = False

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.rate, RATES, "Hz"),
            (self.width, WIDTHS, "bytes per sample"),
            (self.channels, CHANNELS, "channels"),
        ):
            if value not in allowed:
                raise AudioError(
                    f"audio has {printable(value, 20)} {what}; "
                    f"supported: {allowed[0]} to {allowed[-1]}"
                )
        if self.floating and self.width != 4:
            raise AudioError(f"audio is {8 * self.width}-bit floating point; supported: 32-bit")

    @property
    def frame_bytes(self) -> int:
        """Bytes per frame, one sample of each channel."""
        return self.width * self.channels


def read_wav(data: bytes) -> tuple[PcmFormat, bytes]:
    """Split a complete WAV file into its format and its PCM, which are whole frames.

    The size in the header of the data chunk counts unless it is 0 or more than there is: programs
    that write to a pipe do not know it.

    Raises:
        AudioError: it is not a WAV file, has no audio, or its format is not supported.
    """
    header = _WavHeader()
    audio = header.feed(data) if _may_be_wav(data) else None
    if audio is None or header.pcm is None:
        raise AudioError(f"{printable(data[:4], 20)} does not begin a complete WAV file")
    at = len(data) - len(audio)
    size = int.from_bytes(data[at - 4 : at], "little") or len(audio)
    size = min(size, len(audio))
    return header.pcm, audio[: size - size % header.pcm.frame_bytes]


def write_wav(pcm: PcmFormat, data: bytes) -> bytes:
    """Put a WAV header before PCM."""
    tag = _FLOAT if pcm.floating else _PCM
    rate, block = pcm.rate, pcm.frame_bytes
    described = struct.pack(
        "<HHIIHH", tag, pcm.channels, rate, rate * block, block, 8 * pcm.width
    )
    chunks = b"fmt " + struct.pack("<I", len(described)) + described
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


class PcmStream:
    """Converts one stream of PCM bytes to samples; chunks may have any length.

    A frame that is split between two chunks is joined again. A WAV header at the start is
    removed, and its format applies to what follows. Each stream needs its own object, because the
    resampler keeps state.

    Args:
        pcm: format of the stream; a WAV header overrides it.
    """

    def __init__(self, pcm: PcmFormat) -> None:
        self.pcm = pcm
        self._incomplete_frame = b""  # an incomplete frame
        self._header: _WavHeader | None = _WavHeader()  # until it has ended
        self._downmix: Downmix | None = None  # of several channels, from the first sample on
        self._resampler: soxr.ResampleStream | None = None  # likewise

    def feed(self, data: bytes) -> Samples:
        """Take more bytes; return the samples that are ready.

        Raises:
            AudioError: the stream begins with a WAV header of an unsupported format.
        """
        if self._header is not None:
            audio = self._header.feed(data)
            if audio is None:
                return _NOTHING
            self.pcm, self._header = self._header.pcm or self.pcm, None
            data = audio
        return self._convert(self._incomplete_frame + data, last=False)

    def finish(self) -> Samples:
        """End the stream; return what the resampler and the header check held back."""
        data = self._incomplete_frame
        if self._header is not None:
            data, self._header = self._header.finish(), None
        return self._convert(data, last=True)

    def _convert(self, data: bytes, *, last: bool) -> Samples:
        whole = len(data) - len(data) % self.pcm.frame_bytes
        self._incomplete_frame = data[whole:]
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


def slow_down(samples: Samples, speed: float) -> Samples:
    """Slow samples down by resampling (speed perturbation); the pitch falls with the speed.

    Args:
        samples: shape (n,), 16 kHz.
        speed: 0 to 1; at 0.5 the result is twice as long.
    """
    out: Samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE / speed, quality="HQ")
    return out


def room_noise(samples: Samples, count: int) -> Samples:
    """Return white noise as loud as the quietest parts of a recording, to put before speech.

    Digital silence would end in an audible step where the room's noise begins.

    Args:
        samples: the recording, shape (n,), 16 kHz.
        count: samples of noise to return.
    """
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if not len(frames):
        return np.zeros(count, np.float32)
    levels = np.sqrt(np.mean(frames**2, axis=1))
    # The recording may hold nothing but speech: keep well below its loudest frame.
    level = min(np.percentile(levels, 10), 0.1 * levels.max())
    noise = np.random.default_rng(0).standard_normal(count, np.float32)
    quiet: Samples = noise * np.float32(level)
    return quiet


def decode_pcm(data: bytes | bytearray, pcm: PcmFormat) -> Samples:
    """Convert whole frames to mono float32 at the stream's own rate by averaging the channels."""
    frames = decode_frames(data, pcm)
    return frames[:, 0] if pcm.channels == 1 else frames.mean(axis=1, dtype=np.float32)


def to_pcm16(samples: Samples) -> bytes:
    """Turn samples into 16-bit little-endian PCM; what is beyond full scale is clipped."""
    scaled = np.rint(samples * 32768)
    # Not np.clip(), which takes as long as all the rest for 10 ms of audio.
    np.minimum(np.maximum(scaled, -32768, out=scaled), 32767, out=scaled)
    return scaled.astype("<i2").tobytes()


def decode_frames(data: bytes | bytearray, pcm: PcmFormat) -> Frames:
    """Convert whole frames to float32, shape (n, channels), -1 to 1.

    The divisor is 2**(bits - 1), as in Whisper's own loader, so that 16-bit audio converts back
    exactly.
    """
    flat: Samples
    if pcm.width == 1:
        flat = np.frombuffer(data, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)
    elif pcm.width == 3:
        # NumPy has no 24-bit type: put each sample into the upper bytes of 32 bits.
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        flat = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
    elif pcm.floating:
        # NaN or infinity would stay in the state of the resampler for good.
        flat = np.clip(np.nan_to_num(np.frombuffer(data, "<f4")), -1, 1)
    else:
        flat = np.frombuffer(data, f"<i{pcm.width}").astype(np.float32)
        flat /= np.float32(2 ** (8 * pcm.width - 1))
    return flat.reshape(-1, pcm.channels)


class _WavHeader:
    """Parses and removes an optional WAV header at the start of a stream, in any chunking.

    The size of the data chunk is ignored: a program that writes to a pipe does not know it.
    """

    def __init__(self) -> None:
        self.pcm: PcmFormat | None = None  # format from the header, once parsed
        self._held = b""
        self._is_wav = False
        self._skip = 0  # bytes until the next RIFF chunk
        self._length = 0  # bytes of the header so far

    def feed(self, data: bytes) -> bytes | None:
        """Take more bytes; return what follows the header, or None while it is incomplete.

        Raises:
            AudioError: the format is not supported, or the header is longer than 1 MiB.
        """
        data = self._held + data
        self._held = b""
        if not self._is_wav:
            if not _may_be_wav(data):
                return data
            if len(data) < 12:
                self._held = data
                return None
            self._is_wav, self._skip = True, 12
        at = self._skip
        while len(data) >= at + 8:
            kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            if kind == b"data":
                return data[at + 8 :]
            if kind == b"fmt ":
                described = data[at + 8 : at + 8 + min(size, _FMT_BYTES)]
                if len(described) < min(size, _FMT_BYTES):
                    break
                self.pcm = _wav_format(described)
            chunk = 8 + size + size % 2  # chunks are padded to an even length
            at += chunk
            self._length += chunk
            if self._length > _HEADER_LIMIT:
                raise AudioError(f"WAV header has no audio in its first {_HEADER_LIMIT} bytes")
        self._held = data[at:]
        self._skip = max(0, at - len(data))
        return None

    def finish(self) -> bytes:
        """End the stream; return the bytes held back that turned out not to be a header."""
        return b"" if self._is_wav else self._held


def _may_be_wav(data: bytes) -> bool:
    """Return whether the first bytes of a stream may be those of a WAV file."""
    # RF64 is the form of WAV files of 4 GB and more.
    return any(
        data[:4] == magic[: len(data)] and data[8:12] == b"WAVE"[: len(data[8:12])]
        for magic in (b"RIFF", b"RF64")
    )


def _wav_format(described: bytes) -> PcmFormat:
    """Parse a "fmt " chunk.

    Raises:
        AudioError: the format is not supported.
    """
    if len(described) < 16:
        raise AudioError(f"WAV header's fmt chunk has {len(described)} bytes; 16 are needed")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", described[:16])
    if tag == _EXTENSIBLE and len(described) == _FMT_BYTES:
        [tag] = struct.unpack("<H", described[24:26])
    if tag not in (_PCM, _FLOAT):
        raise AudioError(
            f"WAV header has format {tag:#06x}; "
            f"supported: {_PCM:#06x} (PCM) and {_FLOAT:#06x} (floating point)"
        )
    width = (bits + 7) // 8
    if channels and block % channels == 0 and block // channels > width:
        width = block // channels  # 24-bit samples may be stored in the upper bytes of 32
    return PcmFormat(rate, width, channels, floating=tag == _FLOAT)


_NOTHING: Samples = np.zeros(0, np.float32)
