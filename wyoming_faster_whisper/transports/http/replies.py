"""Sends the responses of the API: whole ones, and streams of server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...session.events import Answer
from .api_errors import ApiError, error_body, error_headers
from .files import formats
from .files.form import TranscriptionForm

_PING_SECONDS = 10.0  # between comments that keep proxies from closing a silent connection

_REFUSAL_SECONDS = 5.0  # for a client to read why its WebSocket was refused

_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # tells nginx not to collect the events
}


_NONE: Mapping[str, str] = {}


class Served(Response):
    """Response of a function that reads the request and sends the response itself.

    FastAPI would read the whole body before an endpoint runs, and would not cancel the endpoint
    when the client leaves.
    """

    def __init__(self, serve: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.background = None
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


async def send_body(
    send: Send,
    body: bytes,
    content_type: str,
    status: int = 200,
    headers: Mapping[str, str] = _NONE,
) -> None:
    """Send a whole response."""
    await _start(
        send, status, {"content-type": content_type, "content-length": str(len(body)), **headers}
    )
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def send_error(send: Send, error: ApiError) -> None:
    """Send an error as the whole response."""
    body = json.dumps(error_body(error)).encode()
    await send_body(send, body, "application/json", error.status, error_headers(error))


async def refuse_socket(receive: Receive, send: Send, error: ApiError) -> None:
    """Refuse a WebSocket with an HTTP response."""
    body = json.dumps(error_body(error)).encode()
    headers = {"content-type": "application/json", **error_headers(error)}
    await send(
        {
            "type": "websocket.http.response.start",
            "status": error.status,
            "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        }
    )
    await send({"type": "websocket.http.response.body", "body": body})
    # uvicorn logs an error if the application returns before the connection is closed. It reports
    # one disconnect after the response, and another one then.
    disconnects = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REFUSAL_SECONDS):
            while disconnects < 2:
                disconnects += (await receive())["type"] == "websocket.disconnect"


class EventStream:
    """Response that consists of server-sent events. It begins with the first of them.

    Args:
        send: sends the ASGI messages of the response.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._text = ""  # all deltas so far
        self.begun = False

    async def delta(self, text: str) -> None:
        """Send a piece of committed text."""
        self._text += text
        await self._write(formats.sse_delta(text))

    async def finish(self, answer: Answer, form: TranscriptionForm) -> None:
        """Send the answer, and end the stream."""
        await self._write(formats.sse_done(answer, form))
        await self._end()

    async def fail(self, error: ApiError) -> None:
        """Send an error, and end the stream."""
        await self._write(formats.sse_error(error))
        await self._end()

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Send comments from time to time until the context is left."""
        async with asyncio.TaskGroup() as tasks:
            pinging = tasks.create_task(self._ping())
            yield
            pinging.cancel()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(_PING_SECONDS)
            await self._write(b": ping\n\n")

    async def _write(self, event: bytes) -> None:
        if not self.begun:
            self.begun = True
            await _start(self._send, 200, _STREAM_HEADERS)
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _end(self) -> None:
        await self._write(formats.SSE_END)
        await self._send({"type": "http.response.body", "body": b""})
