"""A file that an option names, which is read again when it changes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .errors import SettingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileVersion:
    """Properties of a file that change when it is written or replaced."""

    modified: int  # ns
    size: int
    inode: int


def version_of(path: Path) -> FileVersion | None:
    """Return the version of a file; None if there is no such file. Blocking."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileVersion(found.st_mtime_ns, found.st_size, found.st_ino)


def read_text(
    path: Path,
    option: str,
    most: int,
    check: Callable[[os.stat_result], None] = lambda _: None,
) -> str:
    """Return the text of a file. Blocking.

    Args:
        option: that names the file, for error texts.
        most: bytes that it may have.
        check: called with the properties of the opened file; may raise.

    Raises:
        SettingError: the file cannot be read, is too large, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            check(os.fstat(file.fileno()))
            data = file.read(most + 1)
        text = data.decode("utf-8-sig")  # editors on Windows may begin it with a BOM
    except OSError as error:
        raise SettingError(f"{option} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{option} {path} is not UTF-8 text") from None
    if len(data) > most:
        raise SettingError(f"{option} {path} is larger than {most} bytes")
    return text


async def changes(version: Callable[[], T], read: T, interval: float) -> AsyncIterator[None]:
    """Yield whenever a file should be read again. Never ends.

    A file that is still being written is left alone: it must have the same version twice.

    Args:
        version: returns the version of the file, or those of files that belong together; may
            block.
        read: the version that has been read, taken before it was read, so that no change is
            missed.
        interval: seconds between checks.
    """
    before = read
    while True:
        await asyncio.sleep(interval)
        now = await asyncio.to_thread(version)
        if now == before and now != read:
            read = now
            yield
        before = now
