"""Connections to the HTTP port: their number, the share of one address, and TLS handshakes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trustme
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.api import head, response
from tests.support.serving import Peer, peer, until
from wyoming_faster_whisper.transports.http.connections.acceptor import Acceptor
from wyoming_faster_whisper.transports.http.connections.connection import ConnectionRules
from wyoming_faster_whisper.transports.http.connections.server import HttpServer

GET = head("GET", "/")


class Site:
    """A server whose application answers when the test lets it, and echoes over WebSockets."""

    def __init__(self, rules: ConnectionRules, tls: ssl.SSLContext | None = None) -> None:
        self.begun = 0  # requests
        self.answer = asyncio.Event()
        self._server = HttpServer(self._app, options="--http", rules=rules, tls=tls)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": message["text"]})
            return
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    @property
    def acceptor(self) -> Acceptor:
        return self._server._acceptor

    @property
    def open(self) -> int:
        return len(self.acceptor._open)

    async def start(self) -> None:
        self.url = await self._server.start("127.0.0.1", 0)
        self.address = f"tcp://{self.url.partition('://')[2]}"

    async def stop(self) -> None:
        self.answer.set()
        await self._server.stop()


@asynccontextmanager
async def site(tls: ssl.SSLContext | None = None, **rules: float) -> AsyncIterator[Site]:
    made = Site(ConnectionRules(**rules), tls)  # type: ignore[arg-type]
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def refused(connection: Peer) -> None:
    reply = await response(connection)
    assert (reply.status, reply.error["code"]) == (503, "too_many_connections")
    assert reply.headers["retry-after"] == "1"


async def test_more_connections_than_the_limit_are_refused() -> None:
    async with site(most=2) as served, AsyncExitStack() as clients:
        for _ in range(2):
            (await clients.enter_async_context(peer(served.address))).send(GET)
        await until(lambda: served.begun == 2)
        await refused(await clients.enter_async_context(peer(served.address)))


async def test_one_address_has_a_share_of_the_connections() -> None:
    async with site(most=5, per_address=2) as served, AsyncExitStack() as clients:

        async def client(source: str) -> Peer:
            return await clients.enter_async_context(peer(served.address, source=source))

        waiting = [await client("127.0.0.2") for _ in range(2)]
        for one in waiting:
            one.send(GET)
        await until(lambda: served.begun == 2)
        await refused(await client("127.0.0.2"))
        other = (await client("127.0.0.3")).send(GET)
        await until(lambda: served.begun == 3)
        served.answer.set()
        for one in (*waiting, other):
            assert (await response(one)).status == 204
        await until(lambda: served.open == 0)
        assert (await response((await client("127.0.0.2")).send(GET))).status == 204


async def test_connections_without_a_request_give_way(caplog: pytest.LogCaptureFixture) -> None:
    async with site(most=3, per_address=2) as served, AsyncExitStack() as clients:
        served.answer.set()

        async def client(source: str = "127.0.0.2") -> Peer:
            return await clients.enter_async_context(peer(served.address, source=source))

        oldest = (await client()).send(GET[:-2])
        await client()
        await until(lambda: served.open == 2)
        assert (await response((await client()).send(GET))).status == 204
        assert await oldest.rest() == b""
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.4", "127.0.0.5"):
            await client(source)
        assert (await response((await client("127.0.0.6")).send(GET))).status == 204
        assert served.open <= 3
    assert "evicted 127.0.0.2, which sent no complete request" in caplog.text


async def test_a_websocket_counts_until_it_ends() -> None:
    async with site(most=1) as served:
        url = served.url.replace("http", "ws")
        async with connect(url, proxy=None) as first:
            await first.send("x")
            assert await first.recv() == "x"
            with pytest.raises(InvalidStatus) as refusal:
                async with connect(url, proxy=None):
                    pass
            assert refusal.value.response.status_code == 503
        await until(lambda: served.open == 0)
        async with connect(url, proxy=None) as second:
            second.transport.abort()
        await until(lambda: served.open == 0)


async def test_hundreds_of_connections_leave_room_for_others() -> None:
    async with site() as served, AsyncExitStack() as clients:
        served.answer.set()
        for number in range(400):
            one = await clients.enter_async_context(peer(served.address, source="127.0.0.2"))
            if number % 2:
                one.send(GET[:-2])
        assert served.open <= 256
        other = await clients.enter_async_context(peer(served.address, source="127.0.0.3"))
        assert (await response(other.send(GET))).status == 204


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def secure_request(served: Site, authority: trustme.CA) -> bytes:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    host, _, port = served.address.removeprefix("tcp://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
    writer.write(GET)
    try:
        return await reader.read()
    finally:
        writer.transport.abort()


async def test_tls_handshakes_that_never_end_lock_nobody_out(
    tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    async with site(tls, most=3, per_address=3) as served, AsyncExitStack() as clients:
        served.answer.set()
        for _ in range(5):
            await clients.enter_async_context(peer(served.address))
        await until(lambda: served.open == 3)
        assert b"204 No Content" in await secure_request(served, authority)


async def test_a_tls_handshake_has_the_time_of_a_request(tls: ssl.SSLContext) -> None:
    async with site(tls, head=0.05) as served, peer(served.address) as silent:
        assert await silent.rest() == b""
        await until(lambda: served.open == 0)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(900)]
)
async def test_input_that_is_not_tls_ends_the_connection(
    tls: ssl.SSLContext, authority: trustme.CA, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(tls, head=0.2) as served:
        served.answer.set()
        async with peer(served.address) as connection:
            await connection.send(data).rest()
        await until(lambda: served.open == 0)
        assert b"204 No Content" in await secure_request(served, authority)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_stop_ends_tls_handshakes(tls: ssl.SSLContext) -> None:
    async with site(tls) as served, peer(served.address) as silent:
        await until(lambda: served.open == 1)
        await served.stop()
        assert await silent.rest() == b""


async def test_a_client_that_never_reads_a_websocket_is_disconnected() -> None:
    async with site(write=0.2) as served:
        url = served.url.replace("http", "ws")
        async with connect(url, proxy=None, max_queue=1, max_size=None) as client:

            async def flood() -> None:
                for text in ["x" * 1_000_000] * 100:
                    await client.send(text)

            with pytest.raises(ConnectionClosed):
                await flood()
        await until(lambda: served.open == 0)
