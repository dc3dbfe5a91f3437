"""Audio from files: anything FFmpeg can decode, as 16 kHz, 16-bit, mono PCM.

PyAV, a dependency of faster-whisper, contains FFmpeg's libraries, so nothing else has to be
installed. This is the only file that imports PyAV.

A file that is still arriving is decoded as a stream, without seeking. Some files cannot be: an
MP4 file may have its index at the end. They are decoded once they are complete.
"""

from __future__ import annotations

import ctypes
import errno
import logging
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import AudioError, AudioTooLong
from .pcm import SAMPLE_RATE, PcmFormat, PcmStream, decode_frames, to_pcm16

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer

_LOGGER = logging.getLogger(__name__)

_READ = 64 * 1024  # bytes of PCM converted at a time

# Limits of what FFmpeg allocates for a hostile file, together under 1 GB.
_ALLOCATION = 32 * 1024 * 1024  # bytes; the index of 8 hours of AAC, or of 6 hours at 60 Hz
_TRACKS = 16


class ReadableFile(Protocol):
    """Binary file object. While seekable() is false, only read() is used.

    After the end was read, seek(0) may work nevertheless: then the file is decoded again from its
    start, with seeking.
    """

    def read(self, size: int, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def seekable(self) -> bool: ...


def decode(
    file: ReadableFile,
    name: str,
    *,
    raw: PcmFormat | None = None,
    longest: float | None = None,
    block: float = 30.0,
) -> Generator[bytes, None, None]:
    """Decode a file's first audio track. Blocking.

    The content decides what the file is, not its name. Damaged packets are skipped, and a
    truncated file is decoded as far as possible, as media players do. Memory is limited: beside
    two blocks, it holds the index of an MP4 file, 13 MB an hour at most.

    Args:
        file: read from its current position; the caller closes it.
        name: for error texts; printable.
        raw: the file is PCM of this format, which a WAV header overrides; None = a media file.
        longest: seconds of audio at most; None = no limit.
        block: seconds of audio in a block, at most 30.

    Yields:
        16 kHz, 16-bit, mono PCM; the last block may be shorter.

    Raises:
        AudioError: the file cannot be read, or has no audio that can be decoded.
        AudioTooLong: the audio is longer than the limit. Earlier blocks have been yielded.
        Exception: what file.read() raises, except for an OSError, which becomes an AudioError.
    """
    parts = _media(file, name) if raw is None else _raw(file, raw)
    try:
        yield from _blocks(parts, name, longest, min(block, 30.0))
    except OSError as error:
        raise AudioError(f"cannot read {name}: {error.strerror or error}") from None


def _blocks(
    parts: Iterator[bytes], name: str, longest: float | None, seconds: float
) -> Iterator[bytes]:
    size = 2 * round(SAMPLE_RATE * seconds)
    total = 0  # bytes
    block = bytearray()
    for part in parts:
        total += len(part)
        if longest is not None and total > 2 * SAMPLE_RATE * longest:
            raise AudioTooLong(f"{name} is longer than {longest:g} s, the most that is accepted")
        block += part
        while len(block) >= size:
            yield bytes(block[:size])
            del block[:size]
    if block:
        yield bytes(block)
    if not total:
        raise AudioError(f"cannot read {name}: it contains no audio")


def _raw(file: ReadableFile, pcm: PcmFormat) -> Iterator[bytes]:
    stream = PcmStream(pcm)
    while data := file.read(_READ):
        yield to_pcm16(stream.feed(data))
    yield to_pcm16(stream.finish())


def _media(file: ReadableFile, name: str) -> Iterator[bytes]:
    # Imported here: PyAV takes longer to import than a short command runs.
    import av

    source = _Source(file)
    try:
        yield from _samples(source)
    except av.FFmpegError as error:
        reason = f"{(error.strerror or str(error)).lower()}; is it audio or video?"
    except AudioError as error:
        reason = str(error)
    else:
        reason = ""
    if source.error is not None:
        raise source.error
    if not reason:
        return
    if source.seekable() or not _rewind(file):
        raise AudioError(f"cannot read {name}: {reason}")
    yield from _media(file, name)


def _rewind(file: ReadableFile) -> bool:
    """Wait until a file is complete and go back to its start; return whether that is possible."""
    while file.read(_READ):
        pass
    return file.seekable() and file.seek(0) == 0


def _samples(source: _Source) -> Iterator[bytes]:
    """Decode and resample the first audio track.

    Raises:
        AudioError: no audio can be decoded; the text is only the reason.
        FFmpegError: likewise.
    """
    import av._core

    _limit_allocations(av._core.__file__)
    # Metadata in an old encoding is ignored; from PyAV 19 on that needs no option.
    old = int(av.__version__.split(".")[0]) < 19
    tolerant: dict[str, Any] = {"metadata_errors": "ignore"} if old else {}
    # A Matroska film may have many subtitles; in MP4, every track may have a large index.
    matroska = source.peek(4) == b"\x1aE\xdf\xa3"
    options = {
        # With a file object, this keeps a playlist from opening other files or hosts.
        "protocol_whitelist": "none",
        # FFmpeg would decode pictures to learn more about a video.
        "codec_whitelist": _audio_codecs(),
        "max_streams": "1000" if matroska else str(_TRACKS),
    }
    kind = "matroska" if matroska else None
    with av.open(source, "r", format=kind, options=options, **tolerant) as container:
        if not container.streams.audio:
            raise AudioError("it has no audio track")
        converter, decoded = _Converter(), False
        try:
            for frame in _frames(container, container.streams.audio[0]):
                yield from converter.convert(frame)
                decoded = True
        except (av.FFmpegError, AudioError):
            if not decoded:
                raise
            # After audio, an error is the end of a truncated file.
        yield converter.finish()


@cache
def _limit_allocations(module: str) -> None:
    """Limit every allocation of FFmpeg's in this process.

    A file of 1 KB can announce an index of several GB, and FFmpeg would fill it.

    Args:
        module: a module of PyAV, through which the library is found.
    """
    try:
        limit = ctypes.CDLL(module).av_max_alloc
    except (OSError, AttributeError):  # linked in another way
        _LOGGER.warning("A hostile audio file can use up the memory: PyAV does not limit it")
        return
    limit.argtypes, limit.restype = [ctypes.c_size_t], None
    limit(_ALLOCATION)


@cache
def _audio_codecs() -> str:
    import av

    names = []
    for name in av.codecs_available:
        with suppress(av.codec.codec.UnknownCodecError):  # an encoder
            if av.Codec(name, "r").type == "audio":
                names.append(name)
    return ",".join(names)


def _frames(container: InputContainer, track: AudioStream) -> Iterator[AudioFrame]:
    import av

    if track.codec_context is None:
        raise AudioError("no decoder is known for its audio track")
    # One file takes one thread, so that many files share the cores fairly.
    track.codec_context.thread_count = 1
    packets = decoded = 0
    for packet in container.demux(track):
        packets += packet.size > 0
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            continue
        decoded += len(frames)
        yield from frames
    if not packets:
        raise AudioError("it contains no audio")
    if not decoded:
        raise AudioError("its audio track cannot be decoded")


class _Converter:
    """Converts frames, whose format may change: in joined MP3 files, for example.

    FFmpeg's own resampler would start a thread per core, and its mean of two channels of opposite
    phase is silence.
    """

    def __init__(self) -> None:
        self._pcm = PcmFormat()
        self._stream = PcmStream(self._pcm)
        self._held = bytearray()  # PCM of that format: frames are short, so several go together

    def convert(self, frame: AudioFrame) -> Iterator[bytes]:
        """Convert one frame.

        Raises:
            AudioError: the sample rate or the number of channels is not supported.
        """
        pcm, data = _interleaved(frame)
        if pcm != self._pcm:
            yield self.finish()
            self._pcm, self._stream = pcm, PcmStream(pcm)
        self._held += data
        if len(self._held) >= _READ:
            yield to_pcm16(self._stream.feed(bytes(self._held)))
            self._held.clear()

    def finish(self) -> bytes:
        """Return what is held back."""
        rest = self._stream.feed(bytes(self._held)), self._stream.finish()
        self._held.clear()
        return to_pcm16(np.concatenate(rest))


def _interleaved(frame: AudioFrame) -> tuple[PcmFormat, bytes]:
    """Return the samples of a frame as PCM; surround sound is mixed down."""
    try:
        data = frame.to_ndarray()  # shape (channels, n) or (1, n * channels)
    except ValueError:
        raise AudioError(f"its sample format is {frame.format.name}") from None
    channels = [channel.name for channel in frame.layout.channels]
    data = data.T if frame.format.is_planar else data.reshape(-1, len(channels))
    if data.dtype == np.float64:
        data = data.astype(np.float32)
    floating = data.dtype == np.float32
    pcm = PcmFormat(frame.sample_rate, data.dtype.itemsize, len(channels), floating)
    if len(channels) <= 2 or "FC" not in channels:
        return pcm, data.tobytes()
    # In films, people speak in the front centre (FC), which a mean of all channels would bury.
    # LFE is the subwoofer.
    weights = np.array(
        [2.0 if name == "FC" else 0.0 if name.startswith("LFE") else 1.0 for name in channels],
        np.float32,
    )
    mono = decode_frames(data.tobytes(), pcm) @ (weights / weights.sum())
    return PcmFormat(pcm.rate, 4, 1, floating=True), mono.astype("<f4").tobytes()


class _Source:
    """File object for PyAV. It has no name, because FFmpeg would guess the format from it.

    An error of the file is kept, and the file ends: PyAV would raise it at some later call, or
    print it.
    """

    def __init__(self, file: ReadableFile) -> None:
        self.error: Exception | None = None  # first error of read(); the file then ends
        self._first = b""  # bytes that were read by peek() only
        self._file = file
        self._seekable = file.seekable()  # once, because a file becomes so when it is complete

    def seekable(self) -> bool:
        return self._seekable

    def peek(self, size: int) -> bytes:
        """Return the first bytes without taking them. Call it before anything is read."""
        self._first = self.read(size)
        return self._first

    def read(self, size: int) -> bytes:
        if self.error is None:
            if self._first:
                data, self._first = self._first, b""
                return data
            try:
                return self._file.read(size)
            except Exception as error:
                self.error = error
        return b""

    def seek(self, offset: int, whence: int) -> int:
        # FFmpeg asks for the size of a file by a position before its end; an empty one has none.
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -errno.EINVAL

    def tell(self) -> int:
        return self._file.seek(0, 1)
