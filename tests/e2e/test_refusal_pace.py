"""While many clients are refused, connections are accepted at a limited rate."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.api import head, request
from tests.support.auth import KEY, bearer, write_keys
from tests.support.serving import Server, peer, until
from tests.support.web import address
from wyoming_faster_whisper.transports.http.connections.listening import ListeningSocket
from wyoming_faster_whisper.transports.token_bucket import TokenBucket

from .conftest import Serve

BAD = head("GET", "/v1/models", authorization="Bearer wrong-0123456789abcdef")


@pytest.fixture
async def server(serve: Serve, tmp_path: Path) -> Server:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    return await serve(http_port=0, api_keys=keys)


def listening(server: Server) -> ListeningSocket:
    assert server.service._api_server is not None
    found = server.service._api_server._server._listening
    assert found is not None
    return found


async def refused(server: Server) -> bytes:
    """Send a request with a wrong key; return the status line."""
    async with peer(f"tcp://{address(server)}") as connection:
        return (await connection.send(BAD).rest()).partition(b"\r\n")[0]


async def test_a_few_wrong_keys_slow_nobody_down(server: Server) -> None:
    for _ in range(50):
        assert (await refused(server)).endswith(b"401 Unauthorized")
    assert not listening(server).paused


async def test_many_wrong_keys_wait_and_others_are_served_meanwhile(server: Server) -> None:
    listening(server)._rate = TokenBucket(2.0, 10)  # a busy machine refuses more than these
    flood = [asyncio.create_task(refused(server)) for _ in range(14)]
    await until(lambda: listening(server).paused)
    await server.serves()  # over the Wyoming port
    good = await request(server, "GET", "/v1/models", authorization=bearer(KEY))
    assert good.status == 200
    assert {await task for task in flood} == {b"HTTP/1.1 401 Unauthorized"}


async def test_while_it_is_paused_no_connection_is_accepted(server: Server) -> None:
    listening(server)._rate = TokenBucket(0.001, 3)
    for _ in range(3):
        await refused(server)
    assert not listening(server).paused
    await refused(server)
    assert listening(server).paused
    async with peer(f"tcp://{address(server)}") as waiting:  # in the system's backlog
        waiting.send(BAD)
        await server.serves()
        assert server.service._api_server is not None
        assert not server.service._api_server._server._acceptor._open


async def test_a_paused_server_stops_at_once(server: Server) -> None:
    listening(server)._rate = TokenBucket(0.001, 1)
    for _ in range(2):
        await refused(server)
    assert listening(server).paused
    assert server.service._api_server is not None
    async with asyncio.timeout(5):
        await server.service._api_server.stop(0)
