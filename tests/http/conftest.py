"""One server with base for all tests of the clients, and the programs that use its API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.processes import BASE, Process

from .programs import DEADLINE, run_client

DATA = Path(__file__).resolve().parents[1] / "data"
TIMER = DATA / "timer.wav"  # Set a timer for five minutes.
KITCHEN = DATA / "kitchen.wav"


@dataclass(frozen=True)
class Api:
    """The server, and a folder for its clients."""

    url: str  # http://HOST:PORT
    wyoming: str  # tcp://HOST:PORT
    process: Process
    folder: Path

    async def answer(
        self, client: str, program: str, *arguments: str | Path, **environ: str
    ) -> Any:
        """Run a program of clients/ in the environment of a client; return the JSON it prints.

        The program gets the server's URL, then the arguments.

        Args:
            client: name of its environment; "ours" is the one that runs the tests.
        """
        printed = await run_client(
            client, program, self.url, *arguments, folder=self.folder, **environ
        )
        return json.loads(printed.splitlines()[-1])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    options = ("--uri", "tcp://127.0.0.1:0", *BASE, "--http-port", "0")
    more = ("--http-origins", "app://obsidian.md", "--max-files", "16")
    async with Process.started(*options, *more, folder=folder) as process:
        wyoming = await process.uri()
        url = (await process.logged(r"API at (http://[^/]+)/v1"))[1]
        await process.ready(DEADLINE)
        yield Api(url, wyoming, process, folder)
