"""A response that consists of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Send

from ....session.events import Answer
from ..api_errors import ApiError
from ..replies import start_response
from . import formats
from .form import TranscriptionForm

_PING_SECONDS = 10.0  # between comments that keep proxies from closing a silent connection

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # tells nginx not to collect the events
}


class EventStream:
    """Response that consists of server-sent events. It begins with the first of them.

    Args:
        send: sends the ASGI messages of the response.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def delta(self, text: str) -> None:
        """Send a piece of committed text."""
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
            await start_response(self._send, 200, _HEADERS)
        await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _end(self) -> None:
        await self._write(formats.SSE_END)
        await self._send({"type": "http.response.body", "body": b""})
