"""Our server in a child process with the environment of this project, not Home Assistant's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 180.0  # seconds; only a failing test waits this long

_FETCH = """
import asyncio, json, sys
from wyoming_faster_whisper.biasing.home_assistant import HomeAssistant
print(json.dumps(asyncio.run(HomeAssistant(*sys.argv[1:]).names())))
"""


@dataclass(frozen=True)
class Command:
    """How to start a server."""

    python: Path
    folder: Path  # of models
    address: str  # on which Home Assistant reaches the server

    @asynccontextmanager
    async def started(self, *options: str, port: int = 0) -> AsyncIterator[Server]:
        """Run a server until the block ends; the block begins when the server is ready.

        Args:
            port: TCP port; 0 = any.
        """
        process = await asyncio.create_subprocess_exec(
            *(self.python, "-m", "wyoming_faster_whisper", "--data-dir", self.folder),
            *("--local-files-only", "--uri", f"tcp://{self.address}:{port}", *options),
            stdin=DEVNULL,
            stderr=PIPE,
            env=_environment(),
        )
        server = Server(process)
        try:
            server.port = int((await server.logged(r"Listening on tcp://\S+:(\d+) "))[1])
            await server.logged(r"Ready \(")
            yield server
        finally:
            await server.stop()

    async def names(self, api: str, token: str) -> list[str]:
        """Return the names that a server fetches from this Home Assistant, in order."""
        return list(json.loads(await self._run("-c", _FETCH, api, token)))

    async def transcribed(self, port: int, clip: Path) -> str:
        """Transcribe a file with our client; return the text."""
        client = "from wyoming_faster_whisper.commands.cli import client; client()"
        uri = f"tcp://{self.address}:{port}"
        return await self._run("-c", client, "transcribe", "--uri", uri, str(clip))

    async def _run(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            self.python, *arguments, stdin=DEVNULL, stdout=PIPE, env=_environment()
        )
        async with asyncio.timeout(DEADLINE):
            said, _ = await process.communicate()
        assert process.returncode == 0, arguments
        return said.decode().strip()


def _environment() -> dict[str, str]:
    """Return the environment without options of a server or of Python."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WYO_WHISPER_", "PYTHON"))
    }


class Server:
    """A running server and its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.port = 0
        self.log = ""
        self._process = process
        self._more = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def logged(self, pattern: str) -> re.Match[str]:
        """Wait until the log matches a pattern."""
        async with asyncio.timeout(DEADLINE), self._more:
            while (found := re.search(pattern, self.log)) is None:
                assert not self._reading.done(), f"{pattern!r} is not in the log:\n{self.log}"
                await self._more.wait()
        return found

    async def stop(self) -> None:
        """Stop the server with SIGTERM, as a service manager does, and wait for its end."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            await self._reading
            await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            async with self._more:
                self.log += line.decode()
                self._more.notify_all()
        async with self._more:
            self._more.notify_all()
