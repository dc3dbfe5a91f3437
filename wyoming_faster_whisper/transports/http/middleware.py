"""ASGI middleware around the API and the page. Each function wraps an application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import printable
from .api_errors import ApiError
from .origin_check import OriginCheck
from .page import SPEECH
from .replies import send_error
from .request_log import RequestLog

_LOGGER = logging.getLogger(__name__)

_URL = re.compile("^https?://[^/]*", re.IGNORECASE)
_LINGER_SECONDS = 5.0  # maximum time to read the rest of a request
_LINGER_BYTES = 256 * 1024 * 1024  # maximum size of the rest


def tolerant_requests(app: ASGIApp) -> ASGIApp:
    """Take requests as other HTTP servers do: for paths, and for the method HEAD.

    Final and repeated slashes come from base URLs that end in one; Starlette would redirect the
    client, which not all clients follow with an upload. A proxy may send a whole URL instead of a
    path (RFC 9112, section 3.2.2). HEAD is answered like GET; uvicorn leaves out the body.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        path = re.sub("/+", "/", _URL.sub("", scope["path"], count=1))
        scope = {**scope, "path": path.rstrip("/") or "/"}
        if scope.get("method") == "HEAD":
            scope["method"] = "GET"
        await app(scope, receive, send)

    return serve


def lingering_close(app: ASGIApp) -> ASGIApp:
    """Read the rest of a request before its response ends, so that the response arrives.

    A server that closes a connection with unread data resets it, and a client that is still
    sending then loses the response: it would see a broken connection instead of the reason for
    the refusal. nginx does the same (`lingering_close`).
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        unread = True

        async def read() -> Message:
            nonlocal unread
            message = await receive()
            unread = bool(message["type"] == "http.request" and message.get("more_body"))
            return message

        async def discard() -> None:
            size = 0
            while unread and size < _LINGER_BYTES:
                size += len((await read()).get("body", b""))

        async def reply(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last and unread:
                # The client has the whole response, but the connection stays open.
                await send({**message, "more_body": True})
                # uvicorn cancels requests when the server stops; the client has its response.
                with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                    async with asyncio.timeout(_LINGER_SECONDS):
                        await discard()
                message = {"type": "http.response.body"}
            await send(message)

        await app(scope, read, reply)

    return serve


def request_ids(app: ASGIApp) -> ASGIApp:
    """Add an id and the processing time to each response, and log internal errors."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started, complete = time.monotonic(), False
        identity = f"req_{uuid.uuid4().hex}"

        async def send_with_headers(message: Message) -> None:
            nonlocal complete
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identity
                elapsed = time.monotonic() - started
                headers["openai-processing-ms"] = str(round(1000 * elapsed))
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await app(scope, receive, send_with_headers)
        except Exception:
            _LOGGER.exception("internal error in request %s", identity)
            if not complete:
                raise  # uvicorn closes the connection, so that the client notices

    return serve


def own_origins(app: ASGIApp, origin_check: OriginCheck, log: RequestLog) -> ASGIApp:
    """Reject requests of web pages from other origins.

    The WebSocket of this server's page has a stricter check of its own (page.py).
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin, host = headers.get("origin", ""), headers.get("host", "")
        page = scope["type"] == "websocket" and scope["path"] == SPEECH
        if page or origin_check.allows_api(origin, host):
            await app(scope, receive, send)
            return
        error = ApiError(
            403,
            f"pages from {printable(origin)!r} may not use this server; see --http-origins",
            code="origin_not_allowed",
        )
        log.failed(scope, error)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # uvicorn answers 403
        else:
            await send_error(send, error)

    return serve
