"""Audio from files: anything FFmpeg can decode, as 16 kHz, 16-bit, mono PCM.

PyAV, a dependency of faster-whisper, contains FFmpeg's libraries, so nothing else has to be
installed. This is the only file that imports PyAV.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from ..audio.pcm import SAMPLE_RATE
from ..errors import AudioError, SettingError

STDIN = "-"

# The files that are taken from a folder; a file given by name is tried whatever its suffix.
SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .au .avi .caf .flac .flv .m4a .m4v .mka .mkv .mov .mp2 "
    ".mp3 .mp4 .mpeg .mpg .oga .ogg .ogv .opus .ts .wav .weba .webm .wma .wmv".split()
)

_BLOCK = 2 * SAMPLE_RATE * 30  # bytes, 30 s of audio: about 10 to 100 ms of decoding


def find_files(given: Iterable[str]) -> list[tuple[str, Path]]:
    """Return the given files, and the audio and video files in given folders, sorted.

    Folders are searched recursively, without hidden files.

    Returns:
        For each file the name to open and its path below the given folder.

    Raises:
        SettingError: a folder contains no audio or video files.
    """
    found: list[tuple[str, Path]] = []
    for name in given:
        folder = Path(name)
        if name == STDIN or not folder.is_dir():
            found.append((name, Path("stdin" if name == STDIN else folder.name)))
            continue
        inside = [
            path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in SUFFIXES
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ]
        if not inside:
            raise SettingError(f"{name} is a folder without audio or video files")
        found += [(str(path), path.relative_to(folder)) for path in inside]
    return found


def decode(name: str) -> Generator[bytes, None, None]:
    """Decode a file's first audio track, in blocks of about 30 s. Blocking.

    Damaged packets are skipped, as media players do.

    Args:
        name: a path, or - for standard input.

    Yields:
        16 kHz, 16-bit, mono PCM.

    Raises:
        AudioError: the file cannot be read, or has no audio that can be decoded.
    """
    # Imported here: PyAV takes longer to import than a short command runs.
    import av

    try:
        with _open(name) as file:
            yield from _blocks(_samples(file, name))
    except av.FFmpegError as error:
        reason = (error.strerror or str(error)).lower()
        raise AudioError(f"cannot read {name}: {reason}; is it audio or video?") from None
    except OSError as error:
        raise AudioError(f"cannot read {name}: {error.strerror or error}") from None


def look(name: str) -> None:
    """Check that a file can be decoded, by its first 30 s. Blocking.

    Pipes and standard input are not checked, because they can be read only once.

    Raises:
        AudioError: as in decode().
    """
    path = Path(name)
    if name == STDIN or (path.exists() and not path.is_file()):
        return
    with closing(decode(name)) as blocks:
        next(blocks, None)


def _open(name: str) -> BinaryIO:
    if name != STDIN:
        return open(name, "rb")
    # MP4 files have their index at the end, so a pipe has to be read completely first.
    return io.BytesIO(sys.stdin.buffer.read())


def _samples(file: BinaryIO, name: str) -> Iterator[bytes]:
    import av

    heard = False
    # A file object and no protocols, so that a playlist cannot open other files or hosts.
    # Metadata in an old encoding is ignored; from PyAV 19 on that needs no option.
    old = int(av.__version__.split(".")[0]) < 19
    tolerant: dict[str, Any] = {"metadata_errors": "ignore"} if old else {}
    with av.open(file, "r", options={"protocol_whitelist": "none"}, **tolerant) as container:
        if not container.streams.audio:
            raise AudioError(f"cannot read {name}: it has no audio track")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        for packet in container.demux(container.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                continue
            for frame in frames:
                for plain in resampler.resample(frame):
                    heard = True
                    yield plain.to_ndarray().tobytes()
        if heard:
            for plain in resampler.resample(None):
                yield plain.to_ndarray().tobytes()
    if not heard:
        raise AudioError(f"cannot read {name}: its audio track cannot be decoded")


def _blocks(parts: Iterator[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for part in parts:
        block += part
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def reads_terminal(names: Iterable[str]) -> bool:
    """Return whether standard input is among the names and is a terminal."""
    return STDIN in names and os.isatty(sys.stdin.fileno())
