"""Three servers behind the HAProxy of the Kubernetes manifests. script/test-scale does more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.support.servers import free_port
from tests.support.haproxy import Balancer, Target, balancing, config_for
from tests.support.serving import Server, Speaker, speaker, until
from wyoming_faster_whisper.testing import tone

from .conftest import Serve

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="haproxy is not installed (Debian: haproxy)"
)


@pytest.fixture
async def servers(serve: Serve) -> list[Server]:
    return [await serve(metrics_port=0) for _ in range(3)]


@pytest.fixture
async def balancer(servers: list[Server], tmp_path: Path) -> AsyncIterator[Balancer]:
    targets = [
        Target(server.service.address.port, urlsplit(server.service.metrics_url or "").port or 0)
        for server in servers
    ]
    port, health = free_port(), free_port()
    config = config_for(targets, port, health)
    async with balancing(config, tmp_path, port, health) as running:
        await running.uses(3)
        await until(lambda: sum(server.connections for server in servers) == 0)
        yield running


@dataclass
class Crowd:
    """Clients that stay connected, each with the server that it got."""

    servers: list[Server]
    uri: str
    held: dict[int, list[AsyncExitStack]] = field(default_factory=dict)  # by server

    async def join(self) -> int:
        """Connect a client; return the number of its server."""
        before = [server.connections for server in self.servers]
        stack = AsyncExitStack()
        client: Speaker = await stack.enter_async_context(speaker(self.uri))
        await client.ping()
        now = [server.connections for server in self.servers]
        [at] = [at for at, (a, b) in enumerate(zip(before, now, strict=True)) if a != b]
        self.held.setdefault(at, []).append(stack)
        return at

    async def leave(self, at: int) -> None:
        """Disconnect all clients of a server."""
        for stack in self.held.pop(at):
            await stack.aclose()
        await until(lambda: self.servers[at].connections == 0)


async def test_a_connection_goes_to_the_server_with_the_fewest(
    servers: list[Server], balancer: Balancer
) -> None:
    crowd = Crowd(servers, balancer.uri)
    assert sorted([await crowd.join() for _ in range(6)]) == [0, 0, 1, 1, 2, 2]
    await crowd.leave(1)
    assert [await crowd.join() for _ in range(2)] == [1, 1]
    for at in list(crowd.held):
        await crowd.leave(at)


async def test_a_server_that_stops_under_load_loses_no_utterance(
    servers: list[Server], balancer: Balancer
) -> None:
    answers = 0

    async def speak() -> None:
        nonlocal answers
        while answers < 60:
            async with speaker(balancer.uri) as client:
                await client.say(tone(0.5))
                assert await client.transcript() == "0.5 seconds"
            answers += 1

    async with asyncio.TaskGroup() as crowd:
        for _ in range(6):
            crowd.create_task(speak())
        await until(lambda: answers >= 20 and bool(servers[0].engine.decoded))
        servers[0].service.stop()
        await servers[0].running
        await servers[0].service.close()
    decoded = [len(server.engine.decoded) for server in servers]
    assert decoded[0] < min(decoded[1:])
