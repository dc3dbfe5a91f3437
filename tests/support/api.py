"""Clients of the HTTP API: OpenAI's Python client, and raw requests."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.testing import pcm16

from .serving import Peer, Server, peer
from .web import address

BOUNDARY = "boundary"


def wav(samples: Samples, *, rate: int = 16_000) -> bytes:
    """Return samples as a WAV file."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm16(samples))
    return data.getvalue()


@asynccontextmanager
async def openai(server: Server, **more: Any) -> AsyncIterator[AsyncOpenAI]:
    """Make OpenAI's client of this server. It does not retry."""
    base = f"{server.service.http_url}/v1"
    async with AsyncOpenAI(base_url=base, api_key="none", max_retries=0, **more) as client:
        yield client


@dataclass(frozen=True)
class Reply:
    """Response to a raw request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """OpenAI's error object."""
        found: dict[str, Any] = self.json["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found


def form(
    fields: Sequence[tuple[str, str]] = (),
    file: bytes | None = b"",
    *,
    file_first: bool = False,
    name: str = "file",
    filename: str = "a.wav",
    content_type: str = "application/octet-stream",
) -> bytes:
    """Return a multipart body with text fields and a file."""
    begin = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = [f'{begin}"{key}"\r\n\r\n{value}\r\n'.encode() for key, value in fields]
    if file is not None:
        head = f'{begin}"{name}"; filename="{filename}"\r\nContent-Type: {content_type}\r\n\r\n'
        parts.insert(0 if file_first else len(parts), head.encode() + file + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def head(method: str, path: str, *, length: int | None = None, **headers: str) -> bytes:
    """Return a request's line and headers; an underscore in a name stands for a hyphen."""
    given = {
        "host": "localhost",
        **{key.replace("_", "-"): text for key, text in headers.items()},
    }
    if length is not None:
        given["content-length"] = str(length)
    lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {text}" for key, text in given.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def request(
    server: Server,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    source: str | None = None,
    **headers: str,
) -> Reply:
    """Send a request, from a source address if one is given; return its response."""
    async with peer(f"tcp://{address(server)}", source=source) as connection:
        length = None if body is None else len(body)
        connection.send(head(method, path, length=length, **headers) + (body or b""))
        return await response(connection)


async def post(
    server: Server, path: str, body: bytes, *, source: str | None = None, **headers: str
) -> Reply:
    """Post a multipart form; return the response."""
    given = {"content_type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    return await request(server, "POST", path, body, source=source, **given)


async def response(connection: Peer) -> Reply:
    """Read a response until the server closes the connection."""
    return _reply(await connection.rest())


async def early_response(connection: Peer) -> Reply:
    """Read the response to a request that is not complete.

    The server waits for the rest of the request before it closes the connection.
    """
    head = await connection.until(b"\r\n\r\n")
    length = int(_reply(head).headers["content-length"])
    return _reply(head + await connection.exactly(length))


def _reply(data: bytes) -> Reply:
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {key.lower(): value for key, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(body)
    return Reply(int(first.split()[1]), headers, body)


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body, data = body + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return body
