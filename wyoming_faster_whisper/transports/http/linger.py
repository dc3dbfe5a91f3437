"""Lingering close: a response that comes before the end of the request reaches the client.

A server that closes a connection with unread data resets it, and a client that is still sending
then loses the response: it would see a broken connection instead of the reason for the refusal.
nginx does the same (`lingering_close`).
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = 5.0  # maximum time to read the rest of a request
_BYTES = 256 * 1024 * 1024  # maximum size of the rest


class LingeringClose:
    """ASGI middleware that reads the rest of a request before its response ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unread = True

        async def read() -> Message:
            nonlocal unread
            message = await receive()
            unread = bool(message["type"] == "http.request" and message.get("more_body"))
            return message

        async def discard() -> None:
            size = 0
            while unread and size < _BYTES:
                size += len((await read()).get("body", b""))

        async def reply(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and unread:
                # The client has the whole response, but the connection stays open.
                await send({**message, "more_body": True})
                # uvicorn cancels requests when the server stops; the client has its response.
                with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                    async with asyncio.timeout(_SECONDS):
                        await discard()
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, read, reply)
