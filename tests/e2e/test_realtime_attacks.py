"""Attacks on the realtime API: each ends plainly, and other clients notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.support.api import head
from tests.support.realtime import RealtimeServer, realtime_server, talker
from tests.support.serving import Peer, Server, until
from wyoming_faster_whisper.testing import tone
from wyoming_faster_whisper.transports.http.connections.connection import ConnectionRules
from wyoming_faster_whisper.transports.http.connections.websocket import WebSocketRules

from .conftest import Serve

HANDSHAKE = head(
    "GET",
    "/v1/realtime",
    connection="Upgrade",
    upgrade="websocket",
    sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==",
    sec_websocket_version="13",
    sec_websocket_extensions="permessage-deflate; client_max_window_bits",
)
TEXT, BINARY, CONTINUATION, PING = 1, 2, 0, 9
RATE = 24_000


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, compressed: bool = False) -> bytes:
    """Return a masked frame, which need not be legal."""
    first = fin << 7 | compressed << 6 | opcode
    length = (
        bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + len(data).to_bytes(8, "big")
    )
    return bytes([first]) + length + bytes(4) + data  # a mask of zeros changes nothing


@asynccontextmanager
async def unharmed(
    server: Server, log: pytest.LogCaptureFixture, rules: ConnectionRules | None = None
) -> AsyncIterator[RealtimeServer]:
    """Check that what happens inside leaves nothing behind, and that the server goes on."""
    async with realtime_server(server, rules=rules) as api:
        yield api
        await until(lambda: len(api.realtime.sockets.clients) == 0)
        await until(lambda: server.memory.used == 0)
        async with talker(api.url) as client:
            await client.receive("session.created")
            await client.append(tone(1.0, rate=RATE))
            await client.commit()
            assert await client.transcript() == "1.0 seconds"
        assert api.message_memory.used == 0
        await server.serves()
    assert not [record for record in log.records if record.exc_info]
    assert not [record for record in log.records if record.name.startswith("uvicorn")]


@asynccontextmanager
async def raw(api: RealtimeServer) -> AsyncIterator[Peer]:
    """Open a WebSocket on a raw connection whose receive buffer is small.

    The message session.created has been read.
    """
    host, _, port = api.url.partition("://")[2].removesuffix("/v1").rpartition(":")
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.setblocking(False)
    await asyncio.get_running_loop().sock_connect(lazy, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=lazy, limit=4096)
    connection = Peer(reader, writer)
    try:
        answer = await connection.send(HANDSHAKE).until(b"session.created")
        assert b"101 Switching Protocols" in answer
        assert b"permessage-deflate" not in answer
        yield connection
    finally:
        writer.transport.abort()


ENDS = {
    "not UTF-8": frame(TEXT, b'{"type": "\xff"}'),
    "a compression bomb": frame(TEXT, b"\xec\xc1\x01\x0d\x00\x00\x00" * 20, compressed=True),
    "a fragment of nothing": frame(CONTINUATION, b"x"),
    "a message that begins inside another one": frame(TEXT, b"x", fin=False) * 2,
    "a ping of 126 bytes": frame(PING, bytes(126)),
    "a length of 2 to the power of 63": b"\x81\xff" + b"\x7f" + b"\xff" * 7 + bytes(4),
    "a frame without a mask": b"\x81\x02{}",
    "HTTP": HANDSHAKE,
}


@pytest.mark.parametrize("attack", ENDS)
async def test_input_that_is_not_websocket_frames_ends_the_connection(
    serve: Serve, attack: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with unharmed(await serve(), caplog) as api, raw(api) as connection:
        await connection.send(ENDS[attack]).rest()


async def test_fragments_without_end_are_dropped_with_the_connection(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(), caplog) as api, raw(api) as connection:
        connection.send(frame(TEXT, b"{", fin=False))
        connection.send(frame(CONTINUATION, fin=False) * 1000)
        connection.send(frame(CONTINUATION, b"x" * 1000, fin=False) * 500)
        await until(lambda: api.message_memory.used > 500_000)
        connection.send(frame(CONTINUATION, bytes(16 * 1024 * 1024), fin=False))
        with contextlib.suppress(ConnectionResetError):
            await connection.rest()


@pytest.mark.parametrize("data", [frame(PING, bytes(125)), frame(TEXT, b"garbage")])
async def test_a_client_that_reads_nothing_is_disconnected(
    serve: Serve, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    rules = ConnectionRules(write=0.2, websocket=WebSocketRules(frames=1e6, burst=10**6))
    async with unharmed(await serve(), caplog, rules) as api, raw(api) as connection:
        connection.send(data * 3000)
        await until(lambda: "read nothing" in caplog.text)


async def test_a_half_closed_connection_ends_its_turn(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(), caplog) as api, raw(api) as connection:
        append = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 20_000})
        connection.send(frame(TEXT, append.encode()))
        connection.half_close()
        await connection.rest()


@pytest.mark.parametrize(
    "session",
    [
        {"include": ["x"] * 6_000},
        {"audio": {"input": {"transcription": {"prompt": "x" * 1_000_000}}}},
        {"audio": {"input": {"transcription": {"keywords": ["x" * 90] * 4_000}}}},
        {"x" * 100_000: "y" * 1_000_000},
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 10**300}}}},
    ],
    ids=["values", "prompt", "keywords", "members", "number"],
)
async def test_a_giant_session_update_is_refused_or_ignored(
    serve: Serve, session: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(), caplog) as api, talker(api.url) as client:
        await client.receive("session.created")
        await client.send("session.update", session=session)
        answer = await client.receive()
        assert answer["type"] in ("error", "session.updated")
        assert len(json.dumps(answer)) < 5_000


async def test_hundreds_of_sessions_leave_room_for_others(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions that have sent nothing are evicted, the oldest first."""
    server = await serve(max_connections=20)
    async with unharmed(server, caplog) as api, AsyncExitStack() as clients:
        for _ in range(50):
            await clients.enter_async_context(raw(api))
        await until(lambda: len(api.realtime.sockets.clients) <= 20)
        async with talker(api.url) as other:
            await other.receive("session.created")
