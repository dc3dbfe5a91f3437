"""Runs programs that use the API, in the environments of their clients."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.processes import environment

from .environments import ENVIRONMENTS, Missing

DEADLINE = 240.0
"""Seconds for a program; importing some clients takes 20 s on a busy machine."""

PROGRAMS = Path(__file__).with_name("clients")
"""Folder of the programs."""


async def prepare(client: str) -> None:
    """Install the environment of a client if npm does that in seconds; else skip the test."""
    await asyncio.to_thread(_command, client, PROGRAMS)


async def run_client(
    client: str, program: str, *arguments: str | Path, folder: Path, **environ: str
) -> str:
    """Run a program of clients/ in the environment of a client; return what it prints.

    Args:
        client: name of its environment; "ours" is the one that runs the tests.
        folder: its home.
    """
    command = await asyncio.to_thread(_command, client, PROGRAMS / program)
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


async def output(
    *command: str,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
    status: int = 0,
) -> str:
    """Run a command in a folder and return what it prints; it must exit with a status."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, env=env, cwd=folder
    )
    try:
        async with asyncio.timeout(DEADLINE):
            out, err = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == status, f"{out.decode()}\n{err.decode()}"
    return out.decode()
