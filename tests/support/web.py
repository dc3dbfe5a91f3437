"""HTTP and WebSocket client that sends what a browser would send."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.testing import pcm16

from .serving import Server, peer


@dataclass(frozen=True)
class Response:
    """Response of an HTTP server."""

    status: int
    headers: dict[str, str]
    text: str


def address(server: Server) -> str:
    """Return HOST:PORT of the page."""
    assert server.service.http_url is not None
    return urlsplit(server.service.http_url).netloc


async def get(where: str, path: str, *, host: str | None = None) -> Response:
    """Fetch a path from HOST:PORT; host replaces the Host header."""
    async with peer(f"tcp://{where}") as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: {host or where}\r\n\r\n".encode())
        head, _, body = (await connection.rest()).decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Response(int(first.split()[1]), {name.lower(): value for name, value in pairs}, body)


class Browser:
    """The WebSocket that the page opens."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def start(self, *, rate: int = 16_000, **more: Any) -> None:
        await self.send({"type": "start", "rate": rate, **more})

    async def hear(self, samples: Samples) -> None:
        await self.connection.send(pcm16(samples))

    async def stop(self) -> None:
        await self.send({"type": "stop"})

    async def say(self, samples: Samples, *, rate: int = 16_000, **more: Any) -> None:
        await self.start(rate=rate, **more)
        await self.hear(samples)
        await self.stop()

    async def send(self, message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def final(self) -> str:
        """Return the text of the final answer; skips partial texts."""
        while (message := await self.receive())["type"] == "partial":
            pass
        assert message["type"] == "final", message
        return str(message["text"])

    async def error(self) -> tuple[str, str, int | None]:
        """Receive an error; return its code, its text and the close code that follows."""
        message = await self.receive()
        assert message["type"] == "error", message
        return message["code"], message["text"], await self.closed()

    async def closed(self) -> int | None:
        """Wait until the server closes; return the close code."""
        return await close_code(self.connection)


async def close_code(connection: ClientConnection) -> int | None:
    """Read until the server closes; return its close code, None if it sent no close frame."""
    try:
        while True:
            await connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


@asynccontextmanager
async def browser(
    server: Server,
    *,
    origin: str | None = None,
    tls: ssl.SSLContext | None = None,
    protocols: Sequence[Subprotocol] | None = None,
) -> AsyncIterator[Browser]:
    """Open the page's WebSocket.

    Args:
        origin: replaces the page's own origin.
        protocols: that the WebSocket offers.
    """
    page = server.service.http_url
    assert page is not None
    async with connect(
        f"{page.replace('http', 'ws', 1)}/speech",
        additional_headers={"Origin": origin if origin is not None else page},
        proxy=None,
        ssl=tls,
        subprotocols=protocols,
    ) as connection:
        yield Browser(connection)
