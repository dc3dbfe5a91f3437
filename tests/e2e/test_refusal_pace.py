"""Clients that are refused in numbers are accepted at a pace that others can bear."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.api import head, request
from tests.support.auth import KEY, bearer, write_keys
from tests.support.serving import Server, peer, until
from tests.support.web import address
from wyoming_faster_whisper.transports.http.connections.listening import ListeningSocket

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
    flood = [asyncio.create_task(refused(server)) for _ in range(300)]
    await until(lambda: listening(server).paused)
    waiting = sum(not task.done() for task in flood)
    assert waiting > 100
    await server.serves()  # over the Wyoming port
    assert sum(not task.done() for task in flood) > 50, "they were refused as fast as they came"
    good = await request(server, "GET", "/v1/models", authorization=bearer(KEY))
    assert good.status == 200
    assert {await task for task in flood} == {b"HTTP/1.1 401 Unauthorized"}


async def test_a_paused_server_stops_at_once(serve: Serve, server: Server) -> None:
    flood = [asyncio.create_task(refused(server)) for _ in range(200)]
    await until(lambda: listening(server).paused)
    assert server.service._api_server is not None
    async with asyncio.timeout(5):
        await server.service._api_server.stop(0)
    await asyncio.wait(flood)
    for task in flood:
        task.exception()
