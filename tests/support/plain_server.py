"""A third-party speech-to-text server, built on the wyoming library without any of our code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wyoming.asr import (
    Transcribe,
    Transcript,
    TranscriptChunk,
    TranscriptStart,
    TranscriptStop,
)
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, Eventable
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.vad import VoiceStopped

_NO_ATTRIBUTION = Attribution(name="", url="")


@dataclass
class Plain:
    """Configuration of the server, and a record of what clients sent.

    Its transcript is the number of audio bytes received. Like the reference server it closes
    the connection after each answer and supports neither ping nor error events.
    """

    partials: tuple[str, ...] = ()  # sent at audio-start
    ends_after: int | None = None  # audio bytes after which it ends the turn; None = never
    breaks: int = 0  # number of connections still to close at their first audio chunk
    only_parts: bool = False  # sends transcript-stop without a transcript
    requests: list[Transcribe] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)  # audio bytes of each utterance
    described: int = 0
    uri: str = ""

    @property
    def info(self) -> Info:
        model = AsrModel("plain-1", _NO_ATTRIBUTION, True, None, None, languages=["en", "nl"])
        program = AsrProgram(
            *("plain", _NO_ATTRIBUTION, True, "another server", "0.1"),
            models=[model],
            supports_transcript_streaming=bool(self.partials),
            requires_external_vad=self.ends_after is None,
        )
        return Info(asr=[program])


class _Handler(AsyncEventHandler):
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plain: Plain
    ) -> None:
        super().__init__(reader, writer)
        self._plain = plain
        self._heard = 0

    async def handle_event(self, event: Event) -> bool:
        plain = self._plain
        if Describe.is_type(event.type):
            plain.described += 1
            await self.write_event(plain.info.event())
        elif Transcribe.is_type(event.type):
            plain.requests.append(Transcribe.from_event(event))
        elif AudioStart.is_type(event.type) and plain.partials:
            await self._tell(TranscriptStart(), *map(TranscriptChunk, plain.partials))
        elif AudioChunk.is_type(event.type):
            if plain.breaks:
                plain.breaks -= 1
                return False
            self._heard += len(event.payload or b"")
            if plain.ends_after is not None and self._heard >= plain.ends_after:
                await self._tell(VoiceStopped())
                return await self._answer()
        elif AudioStop.is_type(event.type):
            return await self._answer()
        return True

    async def _answer(self) -> bool:
        self._plain.heard.append(self._heard)
        if not self._plain.only_parts:
            await self._tell(Transcript(f"{self._heard} bytes", language="nl"))
        if self._plain.partials:
            await self._tell(TranscriptStop())
        return False

    async def _tell(self, *events: Eventable) -> None:
        for event in events:
            await self.write_event(event.event())


@asynccontextmanager
async def plain_server(plain: Plain, folder: Path) -> AsyncIterator[Plain]:
    """Run the server on a Unix socket in a folder until the block ends."""
    path = folder / "plain.socket"
    plain.uri = f"unix://{path}"
    server = AsyncServer.from_uri(plain.uri)
    await server.start(lambda reader, writer: _Handler(reader, writer, plain))
    try:
        yield plain
    finally:
        await server.stop()
