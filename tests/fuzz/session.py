"""A whole session: listener, connection, session and worker, with a fake engine."""

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
"""The flags of each: as Home Assistant has it, and as much as there is."""

ANSWERS = {
    *("info", "pong", "error", "voice-started", "voice-stopped"),
    *("transcript", "transcript-start", "transcript-chunk", "transcript-stop"),
}


class Faults(logging.Handler):
    """Collects what the server itself takes for a fault of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(self.format(record))


class Target:
    """A server that takes one input after the other."""

    def __init__(self, server: Server, faults: Faults) -> None:
        self._server = server
        self._faults = faults

    async def try_one(self, data: bytes) -> None:
        """The server answers in frames, then closes; it logs no fault and keeps nothing."""
        path = self._server.uri.removeprefix("unix://")
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(conversation(data))
                writer.write_eof()
                answer = await reader.read()
            except ConnectionError:
                answer = b""  # it closed while we still sent
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
                # Nothing that was sent before is taken back.
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
    """Servers that run until the process ends; takes one input per call, for one of them."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        # Held, because a server ends when this is collected.
        self._lives = [target(*flags) for flags in SERVERS]
        self._targets = [self._runner.run(life.__aenter__()) for life in self._lives]

    def __call__(self, data: bytes) -> None:
        self._runner.run(self._targets[len(data) % len(self._targets)].try_one(data))


def start() -> Callable[[bytes], None]:
    # Warnings of what was sent are not read by anybody.
    logging.getLogger("wyoming_faster_whisper").propagate = False
    return Running()
