"""An upload while it arrives: written on the event loop, read by threads at the same time.

The last bytes, up to 1 MiB, are in memory. Earlier ones are in a temporary file without a name,
which the system deletes when it is closed. A small upload never touches the disk.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from ....errors import ProtocolError, ServerError, StorageError

_MEMORY = 1024 * 1024  # bytes in memory; with one more, all of them are written to the disk

# Writing 1 MiB usually takes a few milliseconds, but a memory card may block for seconds.
_DISK = ThreadPoolExecutor(1, thread_name_prefix="spool")


class Spool(AbstractContextManager["Spool"]):
    """A growing file, to be closed by its owner. Call all methods on the event loop.

    Args:
        folder: where the temporary file is created; made if missing. None = the system's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.size = 0  # bytes that have arrived
        self.position = 0  # of the last read, by any reader
        self._folder = folder
        # Guards the state, and wakes readers. Flushing does without it, so waits are short.
        self._changed = threading.Condition()
        self._memory = bytearray()  # the last bytes
        self._on_disk = 0  # bytes before them, in the file
        self._file: io.FileIO | None = None
        self._flush: Future[None] | None = None  # that has not ended
        self._complete = False
        self._error: ServerError | None = None  # what reads and writes raise
        self._closed = False

    async def write(self, data: bytes) -> None:
        """Append data. Only one call may run at a time.

        Raises:
            StorageError: the disk is full or cannot be written. Readers get it too.
            ServerError: the error that the upload was aborted with.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            self._memory += data
            self.size += len(data)
            self._changed.notify_all()
            if len(self._memory) <= _MEMORY:
                return
            flush = self._flush = _DISK.submit(self._move_to_disk)
        await asyncio.wrap_future(flush)

    def complete(self) -> None:
        """Mark the upload as complete."""
        with self._changed:
            self._complete = True
            self._changed.notify_all()

    def abort(self, error: ServerError | None = None) -> None:
        """Make reads and writes fail from now on. Only the first call has an effect.

        Args:
            error: what they raise; None = a ProtocolError: the upload is incomplete.
        """
        with self._changed:
            if self._error is None:
                self._error = error or ProtocolError("the upload ended before it was complete")
            self._changed.notify_all()

    def reader(self) -> SpoolReader:
        """Return another reader, at the start of the upload."""
        return SpoolReader(self)

    def close(self) -> None:
        """Abort, and free the memory and the disk."""
        self.abort(ServerError("the upload has been deleted"))
        with self._changed:
            self._closed = True
            if self._flush is None or self._flush.cancel():  # else the thread does it
                self._free()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _move_to_disk(self) -> None:
        """Move the bytes in memory to the disk. In a thread; readers go on meanwhile.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        written = 0
        try:
            if self._file is None:
                self._file = _temporary_file(self._folder)
            data = bytes(self._memory)
            while written < len(data):
                at = self._on_disk + written
                written += os.pwrite(self._file.fileno(), data[written:], at)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            failed = StorageError(f"cannot store the upload: {reason}")
            self.abort(failed)
            raise failed from None
        finally:
            with self._changed:
                self._flush = None
                self._on_disk += written
                del self._memory[:written]
                if self._closed:
                    self._free()

    def _free(self) -> None:
        self._memory.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


class SpoolReader:
    """A file object that waits for bytes that have not arrived. For one thread.

    It can be sought (seekable() says so) when the upload is complete; before that, only to its
    start.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._at = 0
        self._closed = False

    def read(self, size: int, /) -> bytes:
        """Return 1 to size bytes; b"" only at the end of the complete upload.

        Raises:
            ServerError: the upload was aborted.
            ValueError: the reader was closed.
        """
        spool = self._spool
        with spool._changed:
            self._wait(lambda: spool.size > self._at or spool._complete)
            if self._at < spool._on_disk:
                assert spool._file is not None
                size = min(size, spool._on_disk - self._at)
                data = os.pread(spool._file.fileno(), size, self._at)
            else:
                start = self._at - spool._on_disk
                data = bytes(spool._memory[start : start + size])
        self._at += len(data)
        spool.position = self._at
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position and return it. Relative to the end, it waits for the end.

        Raises:
            OSError: the position is negative.
            ServerError, ValueError: as in read().
        """
        spool = self._spool
        with spool._changed:
            if whence == os.SEEK_END:
                self._wait(lambda: spool._complete)
            start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: spool.size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        """Return whether the upload is complete."""
        return self._spool._complete

    def close(self) -> None:
        """Close the reader, from any thread; read() stops waiting."""
        with self._spool._changed:
            self._closed = True
            self._spool._changed.notify_all()

    def _wait(self, arrived: Callable[[], bool]) -> None:
        """Wait with the lock held; raise what the upload was aborted with."""
        spool = self._spool
        spool._changed.wait_for(lambda: arrived() or self._closed or spool._error is not None)
        if spool._error is not None:
            raise spool._error
        if self._closed:
            raise ValueError("the reader is closed")


def _temporary_file(folder: Path | None) -> io.FileIO:
    """Create a file without a name, that only this user can read."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(buffering=0, dir=folder)
