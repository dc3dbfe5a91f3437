"""The realtime API beside a running server, and a client that sends raw messages to it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.session.session import SessionContext
from wyoming_faster_whisper.testing import pcm16
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.catalogue import Catalogue
from wyoming_faster_whisper.transports.http.connections.connection import ConnectionRules
from wyoming_faster_whisper.transports.http.connections.server import HttpServer
from wyoming_faster_whisper.transports.http.connections.websocket import MessageMemory
from wyoming_faster_whisper.transports.http.middleware import lingering_close
from wyoming_faster_whisper.transports.http.realtime.client import RealtimeLimits
from wyoming_faster_whisper.transports.http.realtime.routes import Realtime
from wyoming_faster_whisper.transports.http.replies import error_response

from .serving import DEADLINE, Server
from .web import close_code

KEY = "sk-kitchen"


async def anybody(connection: HTTPConnection, key: str | None) -> Principal:
    """Authenticate every client, by its address."""
    assert connection.client is not None
    host, port = connection.client
    return Principal(host, f"{host}:{port}")


async def with_key(connection: HTTPConnection, key: str | None) -> Principal:
    """Authenticate the clients that have the key."""
    if key != KEY:
        raise ApiError(401, "wrong key", code="invalid_api_key")
    return Principal("kitchen", "kitchen")


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_response(error)


class RealtimeServer:
    """The realtime API on a port of its own."""

    def __init__(
        self,
        server: Server,
        *,
        authenticate: Any = anybody,
        own_limits: RealtimeLimits | None = None,
        models: Sequence[ServedModel] | None = None,
        rules: ConnectionRules | None = None,
    ) -> None:
        listener = server.listener
        self.context: SessionContext = listener._context
        self.realtime = Realtime(
            self.context,
            listener._limits,
            listener._admission,
            authenticate=authenticate,
            catalogue=Catalogue(models or self.context.offer.models, started=0),
            own_limits=own_limits,
        )
        app = Starlette(
            routes=[Mount("/v1", routes=self.realtime.routes())],
            exception_handlers={ApiError: _error},
        )
        # As in the real application: a refused client must get the reason while it still sends.
        self._http = HttpServer(
            lingering_close(app), options="--http", rules=rules or ConnectionRules()
        )

    @property
    def message_memory(self) -> MessageMemory:
        """Memory of the messages that are incomplete or wait."""
        return self._http._acceptor._memory

    async def start(self) -> None:
        self.url = f"{await self._http.start('127.0.0.1', 0)}/v1"

    async def stop(self, seconds: float = DEADLINE) -> None:
        await self.realtime.drain(seconds)
        await self._http.stop()


@asynccontextmanager
async def realtime_server(server: Server, **more: Any) -> AsyncIterator[RealtimeServer]:
    started = RealtimeServer(server, **more)
    await started.start()
    try:
        yield started
    finally:
        await started.stop(0)


class Talker:
    """A client of the realtime protocol that sends and receives JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, kind: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": kind, **fields}))

    async def update(self, session: object, **fields: Any) -> dict[str, Any]:
        """Update the session; return the session as the server tells it."""
        await self.send("session.update", session=session, **fields)
        updated = await self.receive("session.updated")
        found: dict[str, Any] = updated["session"]
        return found

    async def configure(self, **fields: Any) -> dict[str, Any]:
        """Update fields of session.audio.input; return those that the server tells."""
        session = {"type": "transcription", "audio": {"input": fields}}
        found: dict[str, Any] = (await self.update(session))["audio"]["input"]
        return found

    async def append(self, samples: Samples, *, chunk: int = 1_000_000) -> None:
        """Send samples as 16-bit PCM, in pieces of this many bytes."""
        data = pcm16(samples)
        for at in range(0, len(data), chunk):
            await self.append_bytes(data[at : at + chunk])

    async def append_bytes(self, data: bytes) -> None:
        await self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    async def commit(self, **fields: Any) -> None:
        await self.send("input_audio_buffer.commit", **fields)

    async def receive(self, kind: str | None = None) -> dict[str, Any]:
        """Receive the next message, which is of this type."""
        message: dict[str, Any] = json.loads(await self.connection.recv())
        assert kind in (None, message["type"]), message
        return message

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Receive messages up to and including one of this type."""
        messages = [await self.receive()]
        while messages[-1]["type"] != kind:
            messages.append(await self.receive())
        return messages

    async def transcript(self) -> str:
        """Return the next transcript; skips all other messages."""
        message = (await self.until(f"{TRANSCRIPTION}.completed"))[-1]
        return str(message["transcript"])

    async def error(self) -> dict[str, Any]:
        """Receive an error, and return it."""
        found: dict[str, Any] = (await self.receive("error"))["error"]
        return found

    async def closed(self) -> int | None:
        """Wait until the server closes; return the close code."""
        return await close_code(self.connection)


TRANSCRIPTION = "conversation.item.input_audio_transcription"


@asynccontextmanager
async def talker(
    url: str,
    query: str = "?intent=transcription",
    *,
    protocols: Sequence[str] = (),
    **headers: str,
) -> AsyncIterator[Talker]:
    """Open a WebSocket.

    Args:
        url: base URL of the API, which ends in /v1.
        headers: an underscore in a name stands for a hyphen.
    """
    async with connect(
        f"{url.replace('http', 'ws', 1)}/realtime{query}",
        additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
        subprotocols=[Subprotocol(each) for each in protocols] or None,
        proxy=None,
        max_size=None,
    ) as connection:
        yield Talker(connection)
