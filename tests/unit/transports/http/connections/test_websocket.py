"""One WebSocket connection under attack: bytes in, bytes out, and what the transport is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState
from websockets.frames import Opcode

from tests.support.tasks import settled
from tests.support.virtual_time import run
from wyoming_faster_whisper.transports.http.connections.unread import UnreadWatch
from wyoming_faster_whisper.transports.http.connections.websocket import (
    MessageMemory,
    WebSocketConnection,
    WebSocketRules,
)
from wyoming_faster_whisper.transports.rejections import Rejections

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
KIB = 1024


class FakeTransport(asyncio.Transport):
    """Transport that keeps what is written, and reads only while the protocol wants that."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = b""
        self.reading = True
        self.closing = False
        self.aborted = False
        self.unread = 0  # bytes that the client has not read

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted = self.closing = True


class Client:
    """A client of one connection, whose application takes messages when the test lets it."""

    def __init__(
        self,
        rules: WebSocketRules | None = None,
        memory: MessageMemory | None = None,
        *,
        accepts: bool = True,
    ) -> None:
        self.transport = FakeTransport()
        self.taken: list[Message] = []
        self.turns = asyncio.Semaphore(0)  # messages that the application may take
        self.log: list[str] = []
        self.accepts = accepts
        config = uvicorn.Config(
            self._app,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=16 * KIB * KIB,
            ws_ping_interval=None,
            interface="asgi3",
            lifespan="off",
            log_config=None,
        )
        config.load()
        self.state = ServerState()
        self.connection = WebSocketConnection(
            config,
            self.state,
            {},
            rules=rules or WebSocketRules(frames=1e9, burst=10**9),
            unread=UnreadWatch(self.transport, 10.0, self.log.append),
            memory=memory or MessageMemory(),
            rejections=Rejections(lambda count, why: self.log.append(why)),
            on_lost=lambda: None,
        )
        self.connection.connection_made(self.transport)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if self.accepts:
            await send({"type": "websocket.accept"})
        while not self.taken or self.taken[-1]["type"] != "websocket.disconnect":
            await self.turns.acquire()
            self.taken.append(await receive())

    async def open(self) -> Client:
        self.connection.data_received(HANDSHAKE)
        await settled()
        assert b"101 Switching Protocols" in self.transport.written
        assert b"permessage-deflate" not in self.transport.written
        self.transport.written = b""
        return self

    def send(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True, **more: bool) -> None:
        self.send_bytes(frame(opcode, data, fin=fin, **more))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes in pieces as a socket returns them."""
        for at in range(0, len(data), 16 * KIB):
            self.connection.data_received(data[at : at + 16 * KIB])

    async def take(self, messages: int = 1) -> None:
        """Let the application take messages."""
        for _ in range(messages):
            self.turns.release()
        await settled()

    async def close(self) -> None:
        self.connection.connection_lost(None)
        while self.state.tasks:
            await self.take()


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """Return a masked frame, which need not be legal."""
    first = fin << 7 | rsv1 << 6 | opcode
    if len(data) < 126:
        length = bytes([0x80 | len(data)])
    else:
        length = b"\xff" + len(data).to_bytes(8, "big")
    return bytes([first]) + length + bytes(4) + data  # a mask of zeros changes nothing


def with_client(test: Callable[[Client], Coroutine[Any, Any, None]], **given: Any) -> None:
    async def go() -> None:
        client = await Client(**given).open()
        await test(client)
        await client.close()

    run(go())


def test_a_message_in_fragments_is_put_together() -> None:
    async def test(client: Client) -> None:
        client.send(Opcode.TEXT, b"Set ", fin=False)
        client.send(Opcode.CONT, b"a ", fin=False)
        client.send(Opcode.PING, b"alive")
        client.send(Opcode.CONT, b"timer.")
        client.send(Opcode.BINARY, b"\1", fin=False)
        client.send(Opcode.CONT, b"\2")
        await client.take(2)
        assert [message.get("text") for message in client.taken] == ["Set a timer.", None]
        assert client.taken[1]["bytes"] == b"\1\2"
        assert isinstance(client.taken[1]["bytes"], bytes)

    with_client(test)


def test_fragments_without_end_take_no_more_memory_than_their_bytes() -> None:
    async def test(client: Client) -> None:
        client.send(Opcode.TEXT, fin=False)
        client.send_bytes(frame(Opcode.CONT, fin=False) * 5_000)
        connection = client.connection
        assert sum(map(sys.getsizeof, (connection.frames, connection._fragments))) < KIB
        client.send_bytes(frame(Opcode.CONT, b"x", fin=False) * 5_000)
        assert sys.getsizeof(connection._fragments) < 10_000

    with_client(test)


def test_a_message_in_fragments_over_the_limit_ends_the_connection() -> None:
    async def test(client: Client) -> None:
        client.send(Opcode.BINARY, fin=False)
        piece = frame(Opcode.CONT, bytes(KIB * KIB), fin=False)
        for _ in range(17):
            client.connection.data_received(piece)
        assert (1009).to_bytes(2, "big") in client.transport.written
        assert client.transport.closing

    with_client(test)


def test_many_frames_are_read_more_slowly() -> None:
    async def test(client: Client) -> None:
        client.send_bytes(frame(Opcode.PING) * 5)
        assert client.transport.reading
        client.send_bytes(frame(Opcode.PING) * 10)  # at 10 a second, 5 of them at once
        assert not client.transport.reading
        await asyncio.sleep(0.9)
        assert not client.transport.reading
        await asyncio.sleep(0.2)
        assert client.transport.reading

    with_client(test, rules=WebSocketRules(frames=10, burst=5))


def test_an_application_that_takes_messages_does_not_end_the_throttling() -> None:
    async def test(client: Client) -> None:
        client.send_bytes(frame(Opcode.TEXT, b"{}") * 15)
        await client.take(15)
        assert len(client.taken) == 15
        assert not client.transport.reading
        await asyncio.sleep(1.1)
        assert client.transport.reading

    with_client(test, rules=WebSocketRules(frames=10, burst=5))


def test_pings_of_a_client_that_reads_nothing_are_read_no_more() -> None:
    async def test(client: Client) -> None:
        client.transport.unread = 64 * KIB
        client.connection.pause_writing()
        assert not client.transport.reading
        client.connection.resume_writing()
        assert client.transport.reading

    with_client(test)


def test_a_client_that_reads_nothing_is_disconnected() -> None:
    async def test(client: Client) -> None:
        client.transport.unread = 64 * KIB
        client.connection.pause_writing()
        await asyncio.sleep(9)
        assert not client.transport.aborted
        await asyncio.sleep(2)
        assert client.transport.aborted
        assert "read nothing" in client.log[0]

    with_client(test)


def test_a_client_that_reads_slowly_is_not_disconnected() -> None:
    async def test(client: Client) -> None:
        client.transport.unread = 64 * KIB
        client.connection.pause_writing()
        for _ in range(10):
            await asyncio.sleep(9)
            client.transport.unread -= KIB
        assert not client.transport.aborted

    with_client(test)


def test_a_half_closed_connection_ends_even_if_the_client_reads_nothing() -> None:
    async def test(client: Client) -> None:
        client.transport.unread = KIB
        client.connection.eof_received()
        await asyncio.sleep(11)
        assert client.transport.aborted

    with_client(test)


def test_text_that_is_not_utf_8_ends_the_connection_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(client: Client) -> None:
        client.send(Opcode.TEXT, b"\xff\xfe")
        assert (1007).to_bytes(2, "big") in client.transport.written
        assert client.transport.closing
        assert client.log == ["a text message is not UTF-8"]
        await client.take()
        assert [message["type"] for message in client.taken] == ["websocket.disconnect"]

    with_client(test)
    assert caplog.records == []


@pytest.mark.parametrize(
    "data",
    [
        frame(Opcode.TEXT, b"\x4a\x4c\x44\x04\x00", rsv1=True),  # compressed
        frame(Opcode.CONT, b"x"),
        frame(Opcode.TEXT, b"x", fin=False) * 2,
        frame(Opcode.PING, b"x" * 126),
        frame(Opcode.PING, fin=False),
        b"\x83\x80\0\0\0\0",  # an unknown opcode
        b"\x81\x01x",  # not masked
        b"\x81\xff" + b"\xff" * 8 + bytes(4),  # longer than any memory
        b"\x88\x81\0\0\0\0\3",  # half a close code
        frame(Opcode.CLOSE, b"\0\0"),
        frame(Opcode.CLOSE, b"\3\xe8\xff"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("accepts", [True, False])
def test_data_that_is_not_a_websocket_frame_ends_the_connection(
    data: bytes, accepts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        client = Client(accepts=accepts)
        client.connection.data_received(HANDSHAKE)
        if accepts:
            await settled()
        client.connection.data_received(data)
        assert client.transport.closing
        assert len(client.log) == 1
        await client.close()

    run(test())
    assert [record for record in caplog.records if record.name != "asyncio"] == []


def test_large_messages_that_never_end_share_a_limited_memory() -> None:
    async def test() -> None:
        memory = MessageMemory(4 * KIB * KIB)
        clients = [await Client(memory=memory).open() for _ in range(8)]
        for client in clients:
            client.send_bytes(frame(Opcode.TEXT, bytes(2 * KIB * KIB))[: KIB * KIB])
        ended = [client for client in clients if client.transport.closing]
        assert len(ended) == 4
        assert all((1013).to_bytes(2, "big") in one.transport.written for one in ended)
        small = await Client(memory=memory).open()
        small.send(Opcode.TEXT, b"{" + b" " * 100 * KIB + b"}")
        await small.take()
        assert len(small.taken) == 1
        for client in (*clients, small):
            await client.close()
        assert memory.used == 0

    run(test())


def test_a_message_takes_memory_until_the_application_has_processed_it() -> None:
    async def test() -> None:
        memory = MessageMemory()
        client = await Client(memory=memory).open()
        client.send(Opcode.BINARY, bytes(KIB))
        client.send(Opcode.TEXT, b"x" * 2 * KIB)
        assert memory.used == 3 * KIB
        await client.take()
        assert memory.used == 3 * KIB  # the application still processes the first
        await client.take()
        assert memory.used == 2 * KIB
        await client.take()
        assert memory.used == 0
        await client.close()

    run(test())
