"""The server in its own process, started as an operator starts it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .serving import Speaker, speaker

SERVER = (sys.executable, "-m", "wyoming_faster_whisper")
TINY = ("--model", "tiny.en", "--max-batch", "1", "--cpu-threads", "1")
"""The smallest model. One thread and a batch of one keep the warm-up short."""
BASE = ("--model", "base", "--language", "en", *TINY[2:])
"""base in English loads more slowly than tiny.en but decodes faster, in a window of 10 s."""

DEADLINE = 30.0  # seconds; only a failing test waits this long
# No server listens on the port "discard", so no model can be downloaded.
NO_HUB = "http://127.0.0.1:9"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return this process's environment without our settings, proxies and user data folder."""
    ours = re.compile(r"WYO_WHISPER_|HF_|.*_proxy$", re.IGNORECASE)
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return {**kept, "XDG_DATA_HOME": str(folder), "HF_ENDPOINT": NO_HUB, **more}


class Process:
    """A running server process with its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""
        self._silent = False  # the process has closed its log
        self._more = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @staticmethod
    @asynccontextmanager
    async def started(
        *options: str, folder: Path, command: Sequence[str] = SERVER, **environ: str
    ) -> AsyncIterator[Process]:
        process = Process(
            await asyncio.create_subprocess_exec(
                *(*command, *options),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=environment(folder, **environ),
            )
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.process.kill()
            try:
                await process.ended()
            finally:
                sys.stderr.write(process.log)  # pytest shows it with a failed test

    async def logged(self, pattern: str, deadline: float = DEADLINE) -> re.Match[str]:
        """Wait until the log matches a pattern, for at most deadline seconds."""
        async with asyncio.timeout(deadline), self._more:
            while (found := re.search(pattern, self.log)) is None:
                assert not self._silent, f"{pattern!r} is not in the log:\n{self.log}"
                await self._more.wait()
        return found

    async def uri(self) -> str:
        """Wait until the server listens; return its URI."""
        return (await self.logged(r"Listening on (\S+) with"))[1]

    async def ready(self, deadline: float = DEADLINE) -> None:
        """Wait until the model is loaded."""
        await self.logged(r"Ready \(", deadline)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Speaker]:
        async with speaker(await self.uri()) as client:
            yield client

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait until the process has exited; return its exit status."""
        async with asyncio.timeout(DEADLINE):
            await self._reading
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.close()
            await self.process.stdout.read()
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            async with self._more:
                self.log += line.decode()
                self._more.notify_all()
        async with self._more:
            self._silent = True
            self._more.notify_all()


@dataclass(frozen=True)
class Ran:
    """Exit status and output of a finished command."""

    status: int
    out: str
    err: str


async def run(*command: str, folder: Path, given: str = "", **environ: str) -> Ran:
    """Run a command and wait for it, for at most DEADLINE seconds.

    Args:
        given: text for its standard input.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment(folder, **environ)
    )
    try:
        async with asyncio.timeout(DEADLINE):
            out, err = await process.communicate(given.encode())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def serve_without(package: str, *options: str, folder: Path) -> Ran:
    """Run the server with tiny.en as if a package were not installed."""
    start = (
        f"import sys; sys.modules[{package!r}] = None; "
        "from wyoming_faster_whisper.commands.cli import serve; sys.exit(serve(sys.argv[1:]))"
    )
    options = ("--uri", "tcp://127.0.0.1:0", "--model", "tiny.en", *options)
    return await run(sys.executable, "-c", start, *options, folder=folder)
