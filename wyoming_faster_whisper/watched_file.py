"""Follows changes of a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path


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


async def changes(path: Path, read: FileVersion | None, interval: float) -> AsyncIterator[None]:
    """Yield whenever the file should be read again. Never ends.

    A file that is still being written is left alone: it must have the same version twice.

    Args:
        read: the version that has been read, taken before it was read, so that no change is
            missed.
        interval: seconds between checks.
    """
    before = read
    while True:
        await asyncio.sleep(interval)
        now = await asyncio.to_thread(version_of, path)
        if now == before and now != read:
            read = now
            yield
        before = now
