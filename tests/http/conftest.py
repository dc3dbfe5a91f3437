"""One server with tiny.en for all tests of the clients, and the programs that use its API."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.processes import Process, environment

from .environments import ENVIRONMENTS, Missing

DATA = Path(__file__).resolve().parents[1] / "data"
TIMER = DATA / "timer.wav"  # Set a timer for five minutes.
KITCHEN = DATA / "kitchen.wav"

_PROGRAMS = Path(__file__).with_name("clients")
_DEADLINE = 240.0  # seconds; importing some clients takes 20 s on a busy machine


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
            client, _PROGRAMS / program, self.url, *arguments, folder=self.folder, **environ
        )
        return json.loads(printed.splitlines()[-1])


async def run_client(
    client: str, program: Path, *arguments: str | Path, folder: Path, **environ: str
) -> str:
    """Run a program in the environment of a client; return what it prints.

    Args:
        folder: its home.
    """
    command = await asyncio.to_thread(_command, client, program)
    return await output(*command, *map(str, arguments), env=_environ(client, folder, environ))


def _command(client: str, program: Path) -> list[str]:
    if client == "ours":
        return [sys.executable, str(program)]
    environment = ENVIRONMENTS[client]
    try:
        if environment.node:
            environment.install()
        return environment.command(program)
    except Missing as reason:
        pytest.skip(str(reason))


def _environ(client: str, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a client finds only its own packages and no settings."""
    kept = environment(folder, HOME=str(folder), **more)
    for name in ("PYTHONPATH", "PYTHONHOME"):
        kept.pop(name, None)
    if client != "ours" and ENVIRONMENTS[client].node:
        kept["NODE_PATH"] = str(ENVIRONMENTS[client].folder / "node_modules")
    return kept


async def output(*command: str, env: Mapping[str, str] | None = None, status: int = 0) -> str:
    """Run a command and return what it prints; it must exit with a status."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=env)
    try:
        async with asyncio.timeout(_DEADLINE):
            out, err = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == status, f"{out.decode()}\n{err.decode()}"
    return out.decode()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    options = ("--uri", "tcp://127.0.0.1:0", "--model", "tiny.en", "--http-port", "0")
    more = ("--http-origins", "app://obsidian.md", "--max-files", "16")
    async with Process.started(*options, *more, folder=folder) as process:
        wyoming = await process.uri()
        url = (await process.logged(r"API at (http://[^/]+)/v1"))[1]
        await process.ready(_DEADLINE)
        yield Api(url, wyoming, process, folder)
