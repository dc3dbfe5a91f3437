"""Clients that nobody would want: what bench.soak plays beside the honest ones.

Each attack is one connection, or a few, and ends by itself within PATIENCE seconds.
Only ever against a server on this machine.
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
PATIENCE = 20.0  # seconds that an attack lasts at most
FLOOD = 200  # describes in one connection
READ = 64 * 1024  # bytes

SHAPE = {"rate": 16000, "width": 2, "channels": 1}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[int, bytes, random.Random], Awaitable[None]]
"""Takes the server's port, the PCM of something spoken, and where its chances come from."""


def frame(kind: str, data: Mapping[str, object], payload: bytes = b"") -> bytes:
    """One Wyoming event, as honest clients write it."""
    header = {"type": kind, "data": data, "payload_length": len(payload)}
    return json.dumps(header).encode() + b"\n" + payload


def speech(pcm: bytes) -> bytes:
    """An utterance up to, not with, its audio-stop."""
    chunks = (pcm[at : at + 2048] for at in range(0, len(pcm), 2048))
    return b"".join(
        [
            frame("transcribe", {"language": "en"}),
            frame("audio-start", SHAPE),
            *(frame("audio-chunk", SHAPE, chunk) for chunk in chunks),
        ]
    )


async def garbage(port: int, pcm: bytes, chance: random.Random) -> None:
    """Bytes that mean nothing; or an utterance with one of its bytes changed."""
    data = bytearray(speech(pcm[:32000]) + frame("audio-stop", {}))
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    async with connected(port) as streams:
        await send(streams, chance.randbytes(4096) if chance.random() < 0.5 else bytes(data))
        await until_closed(streams)


async def half_a_header(port: int, pcm: bytes, chance: random.Random) -> None:
    """The beginning of an event, and then nothing."""
    async with connected(port) as streams:
        whole = frame("audio-chunk", SHAPE, pcm[:320])
        await send(streams, whole[: chance.randrange(1, len(whole))])
        await until_closed(streams)


async def promise_of_much(port: int, pcm: bytes, chance: random.Random) -> None:
    """A header that announces more than there is memory."""
    header = {
        "type": "audio-chunk",
        "data": SHAPE,
        "payload_length": 10 ** chance.randrange(7, 15),
    }
    async with connected(port) as streams:
        await send(streams, json.dumps(header).encode() + b"\n" + pcm[:4096])
        await until_closed(streams)


async def vanishing(port: int, pcm: bytes, chance: random.Random) -> None:
    """A client that crashes: while it speaks, or while it waits."""
    async with connected(port) as streams:
        waits = chance.random() < 0.5
        await send(
            streams,
            speech(pcm) + frame("audio-stop", {}) if waits else speech(pcm[: len(pcm) // 2]),
        )
        await asyncio.sleep(chance.uniform(0, 0.3))
        reset(streams)


async def never_reading(port: int, pcm: bytes, chance: random.Random) -> None:
    """Questions without end whose answers nobody takes."""
    async with connected(port, receive_buffer=4096) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(PATIENCE):
            writer.write(frame("describe", {}) * 100 * FLOOD)
            while not writer.is_closing():
                await writer.drain()
                # A reset is noticed by who writes.
                await asyncio.sleep(0.1)
                writer.write(frame("describe", {}))


async def flood(port: int, pcm: bytes, chance: random.Random) -> None:
    """Many describes at once; the answers are read."""
    async with connected(port) as streams:
        await send(streams, frame("describe", {}) * FLOOD)
        streams[1].write_eof()
        await until_closed(streams)


async def trickling(port: int, pcm: bytes, chance: random.Random) -> None:
    """One byte after the other, as slow as it may be."""
    async with connected(port) as (_, writer), asyncio.timeout(PATIENCE):
        for byte in frame("describe", {"padding": "x" * 1000}):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.2)


async def changing_formats(port: int, pcm: bytes, chance: random.Random) -> None:
    """Every chunk in another format, so that each costs a new resampler."""
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
    """Carry out one attack. What the server does to it is no error of ours."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        await which(port, pcm, chance)


class IdleCrowd:
    """Connections that never say a word; those that the server closes come again.

    Enter it; it is as many as were asked for, or as the server takes, until it is left.
    """

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self.closed = 0  # by the server, so far

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
        async with asyncio.timeout(PATIENCE):
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
    async with asyncio.timeout(PATIENCE):
        await streams[1].drain()


async def until_closed(streams: Streams) -> None:
    """Read what comes until the server closes."""
    async with asyncio.timeout(PATIENCE):
        while await streams[0].read(READ):
            pass


def reset(streams: Streams) -> None:
    """Go as a crash does, with a RST."""
    connection = streams[1].get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def names(attacks: Iterable[Attack]) -> str:
    return ", ".join(each.__name__.replace("_", " ") for each in attacks)
