"""A satellite: an MQTT client that sends what a Hermes satellite sends."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiomqtt

from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples, write_wav
from wyoming_faster_whisper.testing import pcm16

DEADLINE = 15.0  # seconds; only a failing test waits this long
PCM = PcmFormat()

HERMES_ANSWERS = (
    "hermes/asr/textCaptured",
    "hermes/asr/partialTextCaptured",
    "hermes/error/asr",
    "rhasspy/asr/#",
)


class Satellite:
    """One site. Messages for it are kept until they are asked for.

    Args:
        client: connected.
        site: site id.
        prefix: of the topics that are not Hermes'.
        own_topics: whether it uses those of its site.
    """

    def __init__(
        self, client: aiomqtt.Client, site: str, *, prefix: str, own_topics: bool = False
    ) -> None:
        self.client = client
        self.site = site
        self._prefix = prefix
        self._own = own_topics
        self._messages: list[tuple[str, Any]] = []  # that nothing has asked for
        self._more = asyncio.Event()  # set when a message arrives
        self._reading: asyncio.Task[None] | None = None

    @property
    def answers(self) -> tuple[str, ...]:
        """Topic filters of what is for the site."""
        return (f"{self._prefix}/{self.site}/#",) if self._own else HERMES_ANSWERS

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Receive messages while the block runs."""
        await self.client.subscribe([(each, 1) for each in self.answers])
        self._reading = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        """Sort incoming messages; ends with the connection."""
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            name = message.topic.value.rpartition("/")[2]
            if name == "audioCaptured":
                self._keep(name, message.payload)
                continue
            try:
                fields = json.loads(message.payload)
            except ValueError:
                continue  # audio that it has sent itself
            if self._own or fields.get("siteId") == self.site:
                self._keep(message.topic.value, fields)

    async def send(self, name: str, /, **fields: Any) -> None:
        """Send a control message, such as startListening."""
        topic = f"{self._prefix}/{self.site}/{name}" if self._own else f"hermes/asr/{name}"
        await self.client.publish(
            topic, json.dumps({"siteId": self.site, **fields}), qos=1, timeout=DEADLINE
        )

    async def start(self, **fields: Any) -> None:
        """Begin an utterance, which the satellite ends unless stopOnSilence is set."""
        await self.send("startListening", **{"stopOnSilence": False, **fields})

    async def started(self, **fields: Any) -> None:
        """Begin an utterance and wait until the server listens."""
        await self.start(**fields)
        await self.receive("recordingStarted")

    async def stop(self, **fields: Any) -> None:
        await self.send("stopListening", **fields)

    async def frame(self, wav: bytes, session: str | None = None) -> None:
        """Send a frame of audio."""
        family = f"{self._prefix}/{self.site}" if self._own else f"hermes/audioServer/{self.site}"
        where = f"{session}/audioSessionFrame" if session else "audioFrame"
        await self.client.publish(f"{family}/{where}", wav, qos=0)

    async def hear(
        self, samples: Samples, session: str | None = None, *, chunk: int = 4096
    ) -> None:
        """Send audio in frames of this many bytes of PCM."""
        data = pcm16(samples)
        for at in range(0, len(data), chunk):
            await self.frame(write_wav(PCM, data[at : at + chunk]), session)

    async def say(self, samples: Samples, session: str | None = None, **fields: Any) -> None:
        """Speak a whole utterance."""
        named = {"sessionId": session} if session else {}
        await self.started(**named, **fields)
        await self.hear(samples, session)
        await self.stop(**named)

    async def vanish(self) -> None:
        """Drop the connection without a word, as after a power failure; the Will remains."""
        connection = self.client._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        assert self._reading is not None
        await asyncio.wait([self._reading])

    async def receive(self, *names: str) -> Any:
        """Return the next message whose topic ends with one of these; others are kept."""
        return (await self.next(*names))[1]

    async def next(self, *names: str) -> tuple[str, Any]:
        """Likewise, with the topic. Several tasks may wait at the same time."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for at, (topic, fields) in enumerate(self._messages):
                    if topic.endswith(names):
                        del self._messages[at]
                        return topic, fields
                self._more = asyncio.Event() if self._more.is_set() else self._more
                await self._more.wait()

    async def text(self) -> str:
        """Return the text of the next textCaptured."""
        return str((await self.receive("/textCaptured"))["text"])

    async def error(self) -> str:
        """Return the code of the next error; its empty textCaptured follows."""
        name = "/error" if self._own else "error/asr"
        return str((await self.receive(name))["context"])

    @property
    def unread(self) -> list[str]:
        """Topics of the messages that nothing has asked for."""
        return [topic for topic, _ in self._messages]

    def _keep(self, topic: str, fields: Any) -> None:
        self._messages.append((topic, fields))
        self._more.set()


def client_for(
    url: str,
    *,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
    protocol: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V311,
    **more: Any,
) -> aiomqtt.Client:
    """Make a client for a URL like that of --mqtt-url."""
    parts = urlsplit(url)
    websocket = parts.scheme in ("ws", "wss")
    return aiomqtt.Client(
        parts.hostname or "",
        parts.port or 0,
        username=parts.username,
        password=password,
        protocol=protocol,
        transport="websockets" if websocket else "tcp",
        websocket_path=parts.path if websocket else None,
        tls_context=tls,
        timeout=DEADLINE,
        **more,
    )


@asynccontextmanager
async def satellite(
    url: str,
    site: str,
    *,
    prefix: str = "wyoming-faster-whisper",
    own_topics: bool = False,
    **more: Any,
) -> AsyncIterator[Satellite]:
    """Connect a satellite; it is subscribed to what is for it.

    Args:
        more: see client_for().
    """
    async with client_for(url, **more) as client:
        connected = Satellite(client, site, prefix=prefix, own_topics=own_topics)
        async with connected.receiving():
            yield connected
