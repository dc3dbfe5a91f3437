"""Sound out of files: whatever FFmpeg reads, as 16 kHz, 16-bit, mono.

PyAV, which faster-whisper brings, carries FFmpeg's libraries; nothing has to be
installed beside it. The only file that knows it.
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

# What is taken from a folder; a file that is named is tried whatever its name.
SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .au .avi .caf .flac .flv .m4a .m4v .mka .mkv .mov .mp2 "
    ".mp3 .mp4 .mpeg .mpg .oga .ogg .ogv .opus .ts .wav .weba .webm .wma .wmv".split()
)

_BLOCK = 2 * SAMPLE_RATE * 30  # bytes, 30 s: some 10 to 100 ms of decoding


def find_files(given: Iterable[str]) -> list[tuple[str, Path]]:
    """The files that are meant: those named, and those in folders, sorted.

    Returns:
        Each as it is to be opened, and its path below the folder that was named.

    Raises:
        SettingError: a folder has nothing to hear in it.
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
            raise SettingError(f"{name} is a folder without sound or video files")
        found += [(str(path), path.relative_to(folder)) for path in inside]
    return found


def decode(name: str) -> Generator[bytes, None, None]:
    """Decode a file's first sound track, in blocks of about 30 s. Blocking.

    A damaged stretch is left out, as players do.

    Args:
        name: a path, or - for standard input.

    Raises:
        AudioError: it cannot be read, or nothing in it can be heard.
    """
    # Not at the top: PyAV takes longer to import than a short command takes.
    import av

    try:
        with _open(name) as file:
            yield from _blocks(_samples(file, name))
    except av.FFmpegError as error:
        reason = (error.strerror or str(error)).lower()
        raise AudioError(f"cannot read {name}: {reason}; is it sound or video?") from None
    except OSError as error:
        raise AudioError(f"cannot read {name}: {error.strerror or error}") from None


def look(name: str) -> None:
    """See whether a file can be heard, by the first 30 s of it. Blocking.

    Pipes, standard input among them, can be read only once: they are left alone.

    Raises:
        AudioError: as decode.
    """
    path = Path(name)
    if name == STDIN or (path.exists() and not path.is_file()):
        return
    with closing(decode(name)) as blocks:
        next(blocks, None)


def _open(name: str) -> BinaryIO:
    if name != STDIN:
        return open(name, "rb")
    # MP4 has its index at the end, so a pipe has to be read to its end first.
    return io.BytesIO(sys.stdin.buffer.read())


def _samples(file: BinaryIO, name: str) -> Iterator[bytes]:
    import av

    heard = False
    # A file object, and no protocols: a playlist must not make us open other files or hosts.
    # Titles in an old encoding are no reason to hear nothing; PyAV 19 needs no option for it.
    old = int(av.__version__.split(".")[0]) < 19
    tolerant: dict[str, Any] = {"metadata_errors": "ignore"} if old else {}
    with av.open(file, "r", options={"protocol_whitelist": "none"}, **tolerant) as container:
        if not container.streams.audio:
            raise AudioError(f"cannot read {name}: there is no sound in it")
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
        raise AudioError(f"cannot read {name}: nothing in it can be heard")


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
    """Whether standard input is asked for and is a keyboard."""
    return STDIN in names and os.isatty(sys.stdin.fileno())
