"""One interface to clients of all transports, for the contract tests of the transports."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import aiomqtt
from wyoming.asr import Transcript
from wyoming.audio import AudioStart, AudioStop
from wyoming.error import Error

from wyoming_faster_whisper.audio.pcm import Samples, write_wav
from wyoming_faster_whisper.testing import pcm16
from wyoming_faster_whisper.transports.http.realtime.client import RealtimeLimits
from wyoming_faster_whisper.transports.mqtt.broker_url import BrokerUrl
from wyoming_faster_whisper.transports.mqtt.connection import BrokerOptions
from wyoming_faster_whisper.transports.mqtt.server import MqttOptions, MqttServer

from .broker import plain_broker
from .realtime import TRANSCRIPTION, RealtimeServer, Talker, talker
from .satellite import Satellite, satellite
from .serving import DEADLINE, PCM, Peer, Server, chunks, frames, peer, until
from .toy_transport import ToyTransport
from .web import Browser, browser

SHAPE = {"rate": PCM.rate, "width": PCM.width, "channels": PCM.channels}


class Refused(Exception):
    """The server sent an error; args[0] is its code."""


class Voice(ABC):
    """A client of some transport that sends 16 kHz mono PCM."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def audio(self, data: bytes) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    async def text(self) -> str:
        """Return the text of the next answer.

        Raises:
            Refused: the server sent an error instead.
        """

    @abstractmethod
    async def closed(self) -> None:
        """Wait until the server has closed the connection."""

    @abstractmethod
    async def leave(self) -> None:
        """Abort the connection, without a closing handshake."""

    async def say(self, samples: Samples, *, chunk: int = 320) -> None:
        """Send an utterance, in chunks of this many bytes."""
        data = pcm16(samples)
        await self.start()
        for at in range(0, len(data), chunk):
            await self.audio(data[at : at + chunk])
        await self.stop()


class Transport(ABC):
    """A transport of a running server."""

    options: ClassVar[dict[str, object]] = {}  # options with which the server offers it
    continuous: ClassVar[bool] = False  # its sessions are; see session.py
    connects: ClassVar[bool] = True  # the server sees a client before that speaks
    read_ahead: ClassVar[int] = 0  # bytes of audio that wait for a throttled session

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    @abstractmethod
    def clients(self) -> int:
        """Number of clients that the transport serves."""

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[Voice]: ...

    async def start(self) -> None:  # noqa: B027
        """Start the transport, if the server does not do so itself."""

    async def close(self) -> None:  # noqa: B027
        """Stop what start() started."""

    async def drain(self) -> None:
        """Stop the transport, as the server does when it ends."""
        self.server.service.stop()
        await self.server.running
        await self.server.service.close()


class _WyomingVoice(Voice):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def start(self) -> None:
        self._peer.send(frames([AudioStart(**SHAPE).event()]))

    async def audio(self, data: bytes) -> None:
        self._peer.send(frames(chunks(data, PCM, chunk=len(data))))

    async def stop(self) -> None:
        self._peer.send(frames([AudioStop().event()]))

    async def text(self) -> str:
        event = await self._peer.receive()
        if Error.is_type(event.type):
            raise Refused(Error.from_event(event).code)
        return Transcript.from_event(event).text

    async def closed(self) -> None:
        assert await self._peer.rest() == b""

    async def leave(self) -> None:
        await self._peer.vanish(reset=True)


class Wyoming(Transport):
    """Wyoming over TCP."""

    @property
    def clients(self) -> int:
        return self.server.connections

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Voice]:
        async with peer(self.server.uri) as connection:
            yield _WyomingVoice(connection)


class _WebVoice(Voice):
    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def start(self) -> None:
        await self._browser.start()

    async def audio(self, data: bytes) -> None:
        await self._browser.connection.send(data)

    async def stop(self) -> None:
        await self._browser.stop()

    async def text(self) -> str:
        while (message := await self._browser.receive())["type"] == "partial":
            pass
        if message["type"] == "error":
            raise Refused(message["code"])
        return str(message["text"])

    async def closed(self) -> None:
        await self._browser.closed()

    async def leave(self) -> None:
        self._browser.connection.transport.abort()


class Web(Transport):
    """The WebSocket of the page."""

    options: ClassVar[dict[str, object]] = {"http_port": 0}

    @property
    def clients(self) -> int:
        return self.server.browsers

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Voice]:
        async with browser(self.server) as connection:
            yield _WebVoice(connection)


class _ToyVoice(Voice):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def start(self) -> None:
        self._writer.write(b"start\n")

    async def audio(self, data: bytes) -> None:
        self._writer.write(b"audio %d\n" % len(data) + data)

    async def stop(self) -> None:
        self._writer.write(b"stop\n")

    async def text(self) -> str:
        async with asyncio.timeout(DEADLINE):
            line = (await self._reader.readline()).decode().strip()
        kind, _, rest = line.partition(" ")
        if kind == "error":
            raise Refused(rest)
        assert kind == "text", line
        return rest

    async def closed(self) -> None:
        async with asyncio.timeout(DEADLINE):
            assert await self._reader.read() == b""

    async def leave(self) -> None:
        self._writer.transport.abort()


class Toy(Transport):
    """The smallest transport: tests/support/toy_transport.py."""

    async def start(self) -> None:
        listener = self.server.listener
        self._toy = ToyTransport(listener._context, listener._limits, listener._admission)
        self._port = await self._toy.start()

    @property
    def clients(self) -> int:
        return len(self._toy.clients)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Voice]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield _ToyVoice(reader, writer)
        finally:
            writer.transport.abort()

    async def drain(self) -> None:
        await self._toy.stop(DEADLINE)

    async def close(self) -> None:
        await self._toy.stop(0)


class _RealtimeVoice(Voice):
    # Code of an error in the realtime API → in the other transports.
    _CODES: ClassVar[dict[str, str]] = {
        "rate_limit_exceeded": "busy",
        "request_timeout": "timeout",
        "engine_error": "engine",
    }

    def __init__(self, client: Talker, first: dict[str, Any]) -> None:
        self._client = client
        self._first: dict[str, Any] | None = first  # message that has been received already

    async def start(self) -> None:
        await self._client.send("input_audio_buffer.clear")

    async def audio(self, data: bytes) -> None:
        await self._client.append_bytes(data)

    async def stop(self) -> None:
        await self._client.commit()

    async def text(self) -> str:
        while True:
            message, self._first = self._first or await self._client.receive(), None
            if message["type"] == f"{TRANSCRIPTION}.completed":
                return str(message["transcript"])
            if "error" in message:
                raise Refused(self._CODES[message["error"]["code"]])

    async def closed(self) -> None:
        await self._client.closed()

    async def leave(self) -> None:
        self._client.connection.transport.abort()


class RealtimeApi(Transport):
    """OpenAI's realtime API, with turns that only the client ends."""

    continuous = True
    read_ahead = 32_000  # one message

    async def start(self) -> None:
        self._realtime = RealtimeServer(self.server, own_limits=RealtimeLimits(read_ahead=0))
        await self._realtime.start()

    @property
    def clients(self) -> int:
        return len(self._realtime.realtime.sockets.clients)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Voice]:
        async with talker(self._realtime.url) as client:
            first = await client.receive()
            if first["type"] == "session.created":
                await client.configure(
                    format={"type": "audio/pcm", "rate": PCM.rate}, turn_detection=None
                )
            yield _RealtimeVoice(client, first)

    async def drain(self) -> None:
        await self._realtime.stop()

    async def close(self) -> None:
        await self._realtime.stop(0)


class _SatelliteVoice(Voice):
    def __init__(self, satellite: Satellite, server: MqttServer) -> None:
        self._satellite = satellite
        self._server = server
        self._session = secrets.token_hex(4)
        self._known = False  # the server has been told about the session
        self._audio = b""

    async def start(self) -> None:
        self._known = True
        self._audio = b""
        await self._satellite.started(sessionId=self._session)

    async def audio(self, data: bytes) -> None:
        # Small packets take very long while BlockBuster checks each call of a socket.
        self._audio += data
        if len(self._audio) >= 4096:
            await self._flush()

    async def stop(self) -> None:
        await self._flush()
        await self._satellite.stop(sessionId=self._session)

    async def _flush(self) -> None:
        data, self._audio = self._audio, b""
        if data:
            await self._satellite.frame(write_wav(PCM, data), self._session)

    async def text(self) -> str:
        if not self._known:  # over MQTT a client is first seen when it starts
            self._known = True
            await self._satellite.start(sessionId=self._session)
        topic, fields = await self._satellite.next("/textCaptured", "error/asr")
        if topic == "hermes/error/asr":
            assert (await self._satellite.text()) == ""
            raise Refused(fields["context"])
        return str(fields["text"])

    async def closed(self) -> None:
        await until(
            lambda: self._satellite.site not in [each.site for each in self._server.clients]
        )

    async def leave(self) -> None:
        await self._satellite.vanish()


class Mqtt(Transport):
    """Hermes over a real broker."""

    connects = False
    read_ahead = 4 * 44  # the WAV headers of one recording's frames

    async def start(self) -> None:
        listener = self.server.listener
        with ExitStack() as stack:  # left without a broker, it removes the folder
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._broker = await asyncio.to_thread(
                stack.enter_context, plain_broker(folder, kinds=("tcp",))
            )
            self._stack = stack.pop_all()
        self._mqtt = MqttServer(
            listener._context,
            listener._limits,
            listener._admission,
            MqttOptions(
                BrokerOptions(BrokerUrl.parse(self._broker.url()), client_id="server"),
                prefix="stt",
            ),
        )
        self._mqtt.start()
        await until(lambda: self._mqtt.connection.connected)

    @property
    def clients(self) -> int:
        return len(self._mqtt.clients)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Voice]:
        site = secrets.token_hex(4)
        will = aiomqtt.Will(f"stt/{site}/status", b"offline")
        async with satellite(self._broker.url(), site, prefix="stt", will=will) as connected:
            yield _SatelliteVoice(connected, self._mqtt)

    async def drain(self) -> None:
        await self._mqtt.sites.drain(DEADLINE)

    async def close(self) -> None:
        await self._mqtt.stop(0)
        await asyncio.to_thread(self._stack.close)


TRANSPORTS = (Wyoming, Web, RealtimeApi, Mqtt, Toy)
