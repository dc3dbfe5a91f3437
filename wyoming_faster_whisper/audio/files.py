"""Audio from files: anything FFmpeg can decode, as 16 kHz, 16-bit, mono PCM.

PyAV, a dependency of faster-whisper, contains FFmpeg's libraries, so nothing else has to be
installed. This is the only file that imports PyAV.

A file that is still arriving is decoded as a stream, without seeking. Some files cannot be: an
MP4 file may have its index at the end. They are decoded once they are complete.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import AudioError, AudioTooLong
from .pcm import SAMPLE_RATE, PcmFormat, PcmStream, to_pcm16

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler, AudioStream
    from av.container import InputContainer

_READ = 64 * 1024  # bytes of raw PCM converted at a time


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
    truncated file is decoded as far as possible, as media players do. Memory does not grow with
    the length of the audio.

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
    decoded, reason = False, ""
    try:
        for part in _samples(source):
            decoded = True
            yield part
    except av.FFmpegError as error:
        reason = f"{(error.strerror or str(error)).lower()}; is it audio or video?"
    except AudioError as error:
        reason = str(error)
    if source.error is not None:
        raise source.error
    # An error after audio is the end of a truncated file.
    if not decoded:
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
        AudioError: there is nothing to decode; the text is only the reason.
        FFmpegError: from PyAV.
    """
    import av

    # A file object and no protocols, so that a playlist cannot open other files or hosts.
    # Metadata in an old encoding is ignored; from PyAV 19 on that needs no option.
    old = int(av.__version__.split(".")[0]) < 19
    tolerant: dict[str, Any] = {"metadata_errors": "ignore"} if old else {}
    with av.open(source, "r", options={"protocol_whitelist": "none"}, **tolerant) as container:
        if not container.streams.audio:
            raise AudioError("it has no audio track")
        converter = _Converter()
        for frame in _frames(container, container.streams.audio[0]):
            yield from converter.convert(frame)
        yield from converter.finish()


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
    """Resamples frames, whose format may change: in joined MP3 files, for example."""

    def __init__(self) -> None:
        self._format: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def convert(self, frame: AudioFrame) -> Iterator[bytes]:
        """Convert one frame.

        Raises:
            AudioError: the sample rate or the number of channels is not supported.
        """
        import av

        found = frame.format.name, frame.layout.name, frame.sample_rate
        if found != self._format:
            yield from self.finish()
            # Checks the rate and the channels: a lower rate lets a file inflate its audio.
            PcmFormat(frame.sample_rate, channels=frame.layout.nb_channels)
            self._format = found
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        assert self._resampler is not None
        for plain in self._resampler.resample(frame):
            yield plain.to_ndarray().tobytes()

    def finish(self) -> Iterator[bytes]:
        """Return what the resampler holds back."""
        if self._resampler is not None:
            for plain in self._resampler.resample(None):
                if plain is not None:  # from a resampler that has nothing to do
                    yield plain.to_ndarray().tobytes()


class _Source:
    """A file as PyAV takes it: without a name, which FFmpeg would believe, and without errors.

    PyAV would raise an error of the file at some later call, or print it.
    """

    def __init__(self, file: ReadableFile) -> None:
        self.error: Exception | None = None  # first error of read(); the file then ends
        self._file = file
        self._seekable = file.seekable()  # once, because a file becomes so when it is complete

    def seekable(self) -> bool:
        return self._seekable

    def read(self, size: int) -> bytes:
        if self.error is None:
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
