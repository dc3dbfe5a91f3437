"""The real server with the real tiny.en, one process for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ..e2e.processes import Process
from ..e2e.serving import Speaker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiny_en(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A server whose model comes from the package that carries it."""
    options = ("--uri", "tcp://127.0.0.1:0", "--model", "tiny.en")
    async with Process.started(*options, folder=tmp_path_factory.mktemp("data")) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def client(tiny_en: Process) -> AsyncIterator[Speaker]:
    """A client of it; every answer may take as long as a busy machine needs."""
    async with tiny_en.client() as connected:
        connected.client.read_timeout = 60.0
        yield connected
