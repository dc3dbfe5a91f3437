"""Fuzz target for a whole session: listener, connection, session and worker."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fuzz.conversation import conversation
from tests.support.serving import Server, serving, until
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.testing import FakeEngine
from wyoming_faster_whisper.transports.wyoming.framing import FrameReader

DEADLINE = 10.0  # seconds for the server to answer and to close

SERVERS = ((), ("--vad-endpointing=auto", "--partials=on"))
"""Flags of each server: the default, and with all events that a server may send."""

ANSWERS = {
    *("info", "pong", "error", "voice-started", "voice-stopped"),
    *("transcript", "transcript-start", "transcript-chunk", "transcript-stop"),
}


class Faults(logging.Handler):
    """Log handler that collects internal errors of the server."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


class Target:
    """A running server to which inputs are sent one after the other."""

    def __init__(self, server: Server, faults: Faults) -> None:
        self._server = server
        self._faults = faults

    async def try_one(self, data: bytes) -> None:
        """Assert that the server sends valid frames, closes, logs no error and frees memory."""
        path = self._server.uri.removeprefix("unix://")
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(conversation(data))
                writer.write_eof()
                answer = await reader.read()
            except ConnectionError:
                answer = b""  # the server closed while we were sending
            finally:
                writer.close()
            await until(lambda: not self._server.connections)
        frames, kinds, partial = FrameReader(), [], ""
        frames.feed(answer)
        while (event := frames.next_event()) is not None:
            kinds.append(event.type)
            if event.type == "transcript-start":
                partial = ""
            elif event.type == "transcript-chunk":
                partial += event.data["text"]
            elif event.type == "transcript":
                # Partial text must never be retracted.
                assert partial in ("", event.data["text"]), answer
        assert not frames.mid_frame, answer
        assert set(kinds) <= ANSWERS, kinds
        assert "error" not in kinds[:-1], kinds
        assert self._server.memory.used == 0
        assert not self._faults.seen, self._faults.seen


@asynccontextmanager
async def target(*flags: str, engine: FakeEngine | None = None) -> AsyncIterator[Target]:
    """Start a server with these flags."""
    faults = Faults()
    logger = logging.getLogger("wyoming_faster_whisper")
    logger.addHandler(faults)
    try:
        with tempfile.TemporaryDirectory() as folder:
            given = [f"--uri=unix://{folder}/socket", "--model=base", *flags]
            settings = (await asyncio.to_thread(read_settings, given, {})).settings
            async with serving(settings, Path(folder), engine=engine) as server:
                yield Target(server, faults)
    finally:
        logger.removeHandler(faults)


class Running:
    """Servers that run until the process ends; each call sends an input to one of them."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        # Keep references: garbage collection would stop the servers.
        self._lives = [target(*flags) for flags in SERVERS]
        self._targets = [self._runner.run(life.__aenter__()) for life in self._lives]

    def __call__(self, data: bytes) -> None:
        self._runner.run(self._targets[len(data) % len(self._targets)].try_one(data))


def start() -> Callable[[bytes], None]:
    # Warnings about the inputs are of no interest.
    logging.getLogger("wyoming_faster_whisper").propagate = False
    return Running()
