"""Misbehaving clients, which bench.soak runs beside well-behaved ones.

Each attack opens one connection or a few, and ends within TIMEOUT seconds. It connects to the
local machine only.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
TIMEOUT = 20.0  # longest attack in seconds
FLOOD = 200  # describe events per connection
READ = 64 * 1024  # bytes

SHAPE = {"rate": 16000, "width": 2, "channels": 1}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[int, bytes, random.Random], Awaitable[None]]
"""Takes the server's port, the PCM of some speech, and a random generator."""


def frame(kind: str, data: Mapping[str, object], payload: bytes = b"") -> bytes:
    """Return one well-formed Wyoming event."""
    header = {"type": kind, "data": data, "payload_length": len(payload)}
    return json.dumps(header).encode() + b"\n" + payload


def speech(pcm: bytes) -> bytes:
    """Return the events of an utterance without its audio-stop."""
    chunks = (pcm[at : at + 2048] for at in range(0, len(pcm), 2048))
    return b"".join(
        [
            frame("transcribe", {"language": "en"}),
            frame("audio-start", SHAPE),
            *(frame("audio-chunk", SHAPE, chunk) for chunk in chunks),
        ]
    )


async def garbage(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send random bytes, or an utterance with one bit flipped."""
    data = bytearray(speech(pcm[:32000]) + frame("audio-stop", {}))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    async with connected(port) as streams:
        await send(streams, chance.randbytes(4096) if chance.random() < 0.5 else bytes(data))
        await until_closed(streams)


async def half_a_header(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send the beginning of an event, then nothing."""
    async with connected(port) as streams:
        whole = frame("audio-chunk", SHAPE, pcm[:320])
        await send(streams, whole[: chance.randrange(1, len(whole))])
        await until_closed(streams)


async def promise_of_much(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send a header that announces a payload of 10 MB to 100 TB."""
    header = {
        "type": "audio-chunk",
        "data": SHAPE,
        "payload_length": 10 ** chance.randrange(7, 15),
    }
    async with connected(port) as streams:
        await send(streams, json.dumps(header).encode() + b"\n" + pcm[:4096])
        await until_closed(streams)


async def vanishing(port: int, pcm: bytes, chance: random.Random) -> None:
    """Reset the connection in mid-utterance or while waiting for the answer."""
    async with connected(port) as streams:
        waits = chance.random() < 0.5
        await send(
            streams,
            speech(pcm) + frame("audio-stop", {}) if waits else speech(pcm[: len(pcm) // 2]),
        )
        await asyncio.sleep(chance.uniform(0, 0.3))
        reset(streams)


async def never_reading(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send describe events without end and never read the answers."""
    async with connected(port, receive_buffer=4096) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(TIMEOUT):
            writer.write(frame("describe", {}) * 100 * FLOOD)
            while not writer.is_closing():
                await writer.drain()
                # Only a write notices a reset.
                await asyncio.sleep(0.1)
                writer.write(frame("describe", {}))


async def flood(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send many describe events at once and read the answers."""
    async with connected(port) as streams:
        await send(streams, frame("describe", {}) * FLOOD)
        streams[1].write_eof()
        await until_closed(streams)


async def trickling(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send an event at five bytes per second."""
    async with connected(port) as (_, writer), asyncio.timeout(TIMEOUT):
        for byte in frame("describe", {"padding": "x" * 1000}):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.2)


async def changing_formats(port: int, pcm: bytes, chance: random.Random) -> None:
    """Send every chunk in another format, so that each needs a new resampler."""
    formats = [
        {"rate": chance.choice((8000, 22050, 44100, 192000)), "width": width, "channels": 2}
        for width in (1, 2, 4) * 10
    ]
    async with connected(port) as streams:
        await send(streams, b"".join(frame("audio-chunk", each, pcm[:3072]) for each in formats))
        streams[1].write_eof()
        await until_closed(streams)


ATTACKS: tuple[Attack, ...] = (
    garbage,
    half_a_header,
    promise_of_much,
    vanishing,
    never_reading,
    flood,
    trickling,
    changing_formats,
)


async def attack(which: Attack, port: int, pcm: bytes, chance: random.Random) -> None:
    """Run one attack; errors that the server causes in it are expected and ignored."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        await which(port, pcm, chance)


class IdleCrowd:
    """Idle connections for the length of an `async with`; each reconnects after being closed.

    There are as many as requested, or as many as the server accepts.
    """

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self.closed = 0  # connections that the server has closed so far

    async def __aenter__(self) -> "IdleCrowd":
        self._tasks = [asyncio.create_task(self._sit()) for _ in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _sit(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                async with connected(self._port) as (reader, _):
                    while await reader.read(READ):
                        pass
                    self.closed += 1
            await asyncio.sleep(2.0)


@asynccontextmanager
async def connected(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Streams]:
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(TIMEOUT):
            await asyncio.get_running_loop().sock_connect(connection, (HOST, port))
    except BaseException:
        connection.close()
        raise
    streams = await asyncio.open_connection(sock=connection)
    try:
        yield streams
    finally:
        streams[1].transport.abort()


async def send(streams: Streams, data: bytes) -> None:
    streams[1].write(data)
    async with asyncio.timeout(TIMEOUT):
        await streams[1].drain()


async def until_closed(streams: Streams) -> None:
    """Read and discard data until the server closes the connection."""
    async with asyncio.timeout(TIMEOUT):
        while await streams[0].read(READ):
            pass


def reset(streams: Streams) -> None:
    """Close with a RST, as when a client crashes."""
    connection = streams[1].get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def names(attacks: Iterable[Attack]) -> str:
    return ", ".join(each.__name__.replace("_", " ") for each in attacks)
