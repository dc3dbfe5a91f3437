"""Audio of an upload for the event loop: a thread decodes it, a little ahead of the session."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, closing, suppress

from ....audio.files import decode
from ....audio.pcm import PcmFormat
from .spool import SpoolReader

_BLOCK = 1.0  # seconds of audio
_AHEAD = 4  # decoded blocks that wait for the session

# A thread waits for its upload and for the session most of the time. Not the event loop's own
# pool, which slow uploads would use up. --max-total-files limits the threads, which are started
# as they are needed: as many for files, and for jobs.
_THREADS = ThreadPoolExecutor(256, thread_name_prefix="upload")


@asynccontextmanager
async def audio_blocks(
    reader: SpoolReader,
    name: str,
    *,
    raw: PcmFormat | None = None,
    longest: float | None = None,
) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """Decode an upload in a thread, while it arrives.

    Leaving the context closes the reader and waits until the thread has finished with it.

    Args:
        reader: at the start of the upload.
        name, raw, longest: as in audio.files.decode().

    Yields:
        An iterator of 16 kHz, 16-bit, mono PCM in blocks of 1 s. It raises AudioError,
        AudioTooLong, and the error with which the upload was aborted.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[bytes | None] = asyncio.Queue()  # None = the thread has ended
    room = threading.Semaphore(_AHEAD)
    stopped = threading.Event()

    def run() -> None:
        try:
            with closing(decode(reader, name, raw=raw, longest=longest, block=_BLOCK)) as found:
                for block in found:
                    room.acquire()
                    if stopped.is_set():
                        return
                    loop.call_soon_threadsafe(ready.put_nowait, block)
        finally:
            loop.call_soon_threadsafe(ready.put_nowait, None)

    async def blocks() -> AsyncGenerator[bytes, None]:
        while (block := await ready.get()) is not None:
            room.release()
            yield block
        await asyncio.wrap_future(thread)  # raises its error

    thread = _THREADS.submit(run)
    try:
        async with aclosing(blocks()) as stream:
            yield stream
    finally:
        stopped.set()
        room.release()
        reader.close()
        if not thread.cancel():
            with suppress(Exception):  # raised by blocks() already, or caused by closing
                await asyncio.wrap_future(thread)
