"""Load that competes with the measured clients, in processes of its own.

The processes are separate so that they do not delay the clock of the measurement.
"""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import async_read_event, async_write_event

from .clips import SAMPLE_RATE, WIDTH
from .uploads import transcribe, wav

SendFile = Callable[[int, str, bytes, float], Coroutine[Any, Any, None]]

_CHUNK = SAMPLE_RATE // 10 * WIDTH  # bytes, 0.1 s


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep some cores busy with processes that compute all the time."""
    with _processes(_spin, [()] * count):
        yield


@contextlib.contextmanager
def long_files(
    send: SendFile, port: int, audio: bytes, seconds: float, count: int
) -> Iterator[None]:
    """Send long files to a local server all the time, as fast as it reads them.

    Args:
        send: sends one of them.
        port: TCP port on 127.0.0.1.
        audio: PCM, 16-bit, 16 kHz, mono; repeated until a file has its length.
        seconds: length of a file.
        count: number of clients, each with an address of its own: 127.0.0.2, 127.0.0.3, ...
    """
    clients = [(send, port, f"127.0.0.{2 + number}", audio, seconds) for number in range(count)]
    with _processes(_send_files, clients):
        yield


@contextlib.contextmanager
def _processes(target: Callable[..., None], arguments: list[tuple[Any, ...]]) -> Iterator[None]:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=target, args=each, daemon=True) for each in arguments]
    for process in processes:
        process.start()
    try:
        yield
        for process in processes:
            if not process.is_alive():
                raise RuntimeError(f"{target.__name__} ended with status {process.exitcode}")
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _spin() -> None:
    while True:
        pass


def _send_files(send: SendFile, port: int, address: str, audio: bytes, seconds: float) -> None:
    while True:
        asyncio.run(send(port, address, audio, seconds))


async def upload_file(port: int, address: str, audio: bytes, seconds: float) -> None:
    """Upload one file to the HTTP API, and wait for its text; the same as send_file().

    Raises:
        OSError: the server closed the connection, or answered with an error.
    """
    size = round(seconds * SAMPLE_RATE) * WIDTH
    file = wav((audio * (size // len(audio) + 1))[:size])
    await asyncio.to_thread(transcribe, port, file, address=address, language="en")


async def send_file(port: int, address: str, audio: bytes, seconds: float) -> None:
    """Send one file to a local server from an address, and wait for its text.

    Args:
        audio: repeated until the file has its length.

    Raises:
        EOFError: the server closed the connection without a transcript.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    with contextlib.closing(writer):
        await async_write_event(Transcribe(language="en").event(), writer)
        await async_write_event(AudioStart(SAMPLE_RATE, WIDTH, 1).event(), writer)
        left = round(seconds * SAMPLE_RATE) * WIDTH
        while left > 0:
            for at in range(0, min(len(audio), left), _CHUNK):
                piece = audio[at : at + min(_CHUNK, left - at)]
                await async_write_event(AudioChunk(SAMPLE_RATE, WIDTH, 1, piece).event(), writer)
            left -= len(audio)
        await async_write_event(AudioStop().event(), writer)
        while (event := await async_read_event(reader)) is not None:
            if event.type == "transcript":
                return
            if event.type == "error":
                raise EOFError(str(event.data))
    raise EOFError("the server closed the connection")


SENDERS: dict[str, SendFile] = {"wyoming": send_file, "http": upload_file}
"""How files are sent, by protocol."""
