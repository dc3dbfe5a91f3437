"""The audio and video files that the client is given, by name or in folders."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from ..audio import files
from ..errors import AudioError, SettingError

STDIN = "-"

# The files that are taken from a folder; a file given by name is tried whatever its suffix.
SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .amr .au .avi .caf .flac .flv .m4a .m4v .mka .mkv .mov .mp2 "
    ".mp3 .mp4 .mpeg .mpg .oga .ogg .ogv .opus .ts .wav .weba .webm .wma .wmv".split()
)


def find_files(given: Iterable[str]) -> list[tuple[str, Path]]:
    """Return the given files, and the audio and video files in given folders, sorted.

    Folders are searched recursively, without hidden files.

    Returns:
        For each file the name to open and its path below the given folder.

    Raises:
        SettingError: a name is empty, or a folder contains no audio or video files.
    """
    found: list[tuple[str, Path]] = []
    for name in given:
        if not name:  # from an unset variable of a script; Path("") is the current folder
            raise SettingError("a FILE is an empty name")
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
    """Decode a file's first audio track, in blocks of 30 s. Blocking.

    Args:
        name: a path, or - for standard input.

    Yields:
        16 kHz, 16-bit, mono PCM.

    Raises:
        AudioError: the file cannot be read, or has no audio that can be decoded.
    """
    try:
        file = _open(name)
    except OSError as error:
        raise AudioError(f"cannot read {name}: {error.strerror or error}") from None
    with file:
        yield from files.decode(file, name)


def check(name: str) -> None:
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


def reads_terminal(names: Iterable[str]) -> bool:
    """Return whether standard input is among the names and is a terminal."""
    return STDIN in names and os.isatty(sys.stdin.fileno())
