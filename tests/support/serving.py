"""A server in the test process: the real Service with an engine that the test controls."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.event import Event, async_read_event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from wyoming_faster_whisper.app.service import Service
from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import Engine
from wyoming_faster_whisper.session.session import AudioMemory
from wyoming_faster_whisper.speech.vad import SpeechDetector
from wyoming_faster_whisper.testing import FakeEngine, LoudnessVad, pcm16, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.mqtt.server import MqttServer
from wyoming_faster_whisper.transports.wyoming.framing import write_event
from wyoming_faster_whisper.transports.wyoming.listener import Listener

DEADLINE = 15.0  # seconds; only a failing test waits this long
_ROUNDS = 50  # of the event loop, without a pause
_PAUSE = 0.001  # seconds
PCM = PcmFormat()


async def until(condition: Callable[[], bool]) -> None:
    """Run the event loop until a condition holds that has no event to wait for.

    What the event loop can do alone is done in a few rounds. After these, the core is left to
    the threads and processes that the condition waits for.
    """
    async with asyncio.timeout(DEADLINE):
        for done in count():
            if condition():
                return
            await asyncio.sleep(0 if done < _ROUNDS else _PAUSE)


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of our own loggers; asyncio also warns when the machine is busy."""
    return [
        record.getMessage()
        for record in log.records
        if record.levelno >= logging.WARNING and record.name.startswith("wyoming_faster_whisper")
    ]


@dataclass(frozen=True)
class Server:
    """A running server with shortcuts to the state that tests check."""

    service: Service
    engine: FakeEngine
    running: asyncio.Task[None]

    @property
    def uri(self) -> str:
        return str(self.service.address)

    @property
    def connections(self) -> int:
        return self.service.statistics().connections

    @property
    def browsers(self) -> int:
        return self.service.statistics().browsers

    @property
    def waiting(self) -> int:
        return self.service.statistics().worker.waiting

    @property
    def withdrawn(self) -> int:
        return self.service.statistics().worker.withdrawn

    @property
    def listener(self) -> Listener:
        assert self.service._listener is not None
        return self.service._listener

    @property
    def mqtt(self) -> MqttServer:
        assert self.service._mqtt is not None
        return self.service._mqtt

    @property
    def memory(self) -> AudioMemory:
        return self.listener._context.memory

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Speaker]:
        """Connect with the wyoming library's client."""
        async with speaker(self.uri) as client:
            yield client

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        """Connect with a raw socket, which need not follow the protocol."""
        async with peer(self.uri) as connected:
            yield connected

    async def serves(self) -> None:
        """Assert that the server answers a new client."""
        async with self.client() as client:
            await client.say(tone(1.0))
            assert await client.transcript() == "1.0 seconds"


@asynccontextmanager
async def serving(
    settings: Settings,
    folder: Path,
    *,
    engine: FakeEngine | None = None,
    load: Callable[[], Engine] | None = None,
    load_vad: Callable[[], SpeechDetector] = LoudnessVad,
    limits: ClientLimits | None = None,
    real: bool = False,
) -> AsyncIterator[Server]:
    """Run a server until the block ends.

    Args:
        folder: models are searched here; nothing is written.
        engine: decodes; released when the block ends.
        load: loads the engine, to replace or delay it.
        real: the engine is that of the settings.
    """
    fake = engine or FakeEngine()
    # In a thread: it searches folders for models, and a test must not block the event loop.
    service = await asyncio.to_thread(
        Service,
        settings,
        default_data_dir=folder,
        load=None if real else load or (lambda: fake),
        load_vad=load_vad,
        limits=limits,
    )
    try:
        await service.start()
    except BaseException:
        await service.close()
        raise
    running = asyncio.create_task(service.run())
    try:
        yield Server(service, fake, running)
    finally:
        fake.release()
        service.stop()
        await asyncio.wait([running])
        await service.close()


class Speaker:
    """A client that speaks to the server through the wyoming library."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def send(self, *events: Event) -> None:
        for event in events:
            await self.client.write_event(event)

    async def receive(self) -> Event:
        event = await self.client.read_event()
        assert event is not None, "the server closed the connection"
        return event

    async def say(
        self,
        samples: Samples,
        *,
        language: str | None = None,
        context: dict[str, Any] | None = None,
        model: str | None = None,
    ) -> None:
        """Send an utterance as Home Assistant does."""
        await self.send(*utterance(samples, language=language, context=context, model=model))

    async def answer(self) -> Transcript:
        event = await self.receive()
        assert Transcript.is_type(event.type), event
        return Transcript.from_event(event)

    async def transcript(self) -> str:
        return (await self.answer()).text

    async def describe(self) -> Info:
        await self.send(Describe().event())
        return Info.from_event(await self.receive())

    async def ping(self, text: str | None = None) -> str | None:
        """Send a ping; return the text of the pong.

        By then the server has processed all events sent before.
        """
        await self.send(Ping(text).event())
        event = await self.receive()
        assert Pong.is_type(event.type), event
        return Pong.from_event(event).text

    async def leave(self) -> None:
        await self.client.disconnect()


@asynccontextmanager
async def speaker(uri: str) -> AsyncIterator[Speaker]:
    client = AsyncClient.from_uri(uri, connect_timeout=DEADLINE, read_timeout=DEADLINE)
    await client.connect()
    try:
        yield Speaker(client)
    finally:
        await client.disconnect()


def utterance(
    samples: Samples,
    *,
    language: str | None = None,
    context: dict[str, Any] | None = None,
    model: str | None = None,
    chunk: int = 320,
) -> list[Event]:
    """Return all events of one utterance, with its audio in chunks of 10 ms.

    Args:
        chunk: bytes of audio in each, for an utterance so long that the chunks take seconds.
    """
    return [
        Transcribe(name=model, language=language, context=context).event(),
        *recording(pcm16(samples), PCM, chunk=chunk),
    ]


def recording(data: bytes, pcm: PcmFormat, *, chunk: int) -> list[Event]:
    """Return the audio events of one utterance, with chunk bytes in each audio-chunk."""
    shape = {"rate": pcm.rate, "width": pcm.width, "channels": pcm.channels}
    return [
        AudioStart(**shape).event(),
        *chunks(data, pcm, chunk=chunk),
        AudioStop().event(),
    ]


def chunks(data: bytes, pcm: PcmFormat, *, chunk: int = 320) -> Sequence[Event]:
    shape = {"rate": pcm.rate, "width": pcm.width, "channels": pcm.channels}
    return [
        AudioChunk(**shape, audio=data[at : at + chunk]).event()
        for at in range(0, len(data), chunk)
    ]


def frames(events: Sequence[Event]) -> bytes:
    """Serialise events into the bytes of their frames."""
    return b"".join(map(write_event, events))


class Peer:
    """A raw connection on which a test can send any bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> Self:
        """Send bytes, without waiting for the server to take them."""
        self._writer.write(data)
        return self

    def half_close(self) -> None:
        """Send a FIN and keep reading."""
        self._writer.write_eof()

    async def vanish(self, *, reset: bool) -> None:
        """Drop the connection with a FIN, or with a RST as a crash does."""
        if reset:
            self._writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self._writer.transport.abort()
        self._writer.close()

    async def receive(self) -> Event:
        async with asyncio.timeout(DEADLINE):
            event = await async_read_event(self._reader)
        assert event is not None, "the server closed the connection"
        return event

    async def error(self) -> Error:
        """Return the error that the server sends before it closes."""
        event = await self.receive()
        assert Error.is_type(event.type), event
        assert await self.rest() == b""
        return Error.from_event(event)

    async def until(self, mark: bytes) -> bytes:
        """Return the bytes that arrive up to and including a mark."""
        async with asyncio.timeout(DEADLINE):
            return await self._reader.readuntil(mark)

    async def exactly(self, count: int) -> bytes:
        """Return the next bytes that arrive."""
        async with asyncio.timeout(DEADLINE):
            return await self._reader.readexactly(count)

    async def rest(self) -> bytes:
        """Return all bytes that arrive until the server closes."""
        async with asyncio.timeout(DEADLINE):
            return await self._reader.read()


@asynccontextmanager
async def peer(uri: str, *, source: str | None = None) -> AsyncIterator[Peer]:
    """Connect with a raw socket.

    Args:
        source: address of this end, such as 127.0.0.2; None = the system chooses.
    """
    scheme, _, where = uri.partition("://")
    if scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(where)
    else:
        host, _, port = where.rpartition(":")
        own = None if source is None else (source, 0)
        reader, writer = await asyncio.open_connection(host, int(port), local_addr=own)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
        writer.close()
        await asyncio.wait([asyncio.ensure_future(_closed(writer))])


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.wait_closed()
    except OSError:
        return
