"""Sends whole responses of the API."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .answer_members import JSON
from .api_errors import ApiError, error_body, error_headers

_REFUSAL_SECONDS = 5.0  # for a client to read why its WebSocket was refused

_NO_HEADERS: Mapping[str, str] = {}


class Served(Response):
    """Response that a function sends, which also reads the request.

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
    headers: Mapping[str, str] = _NO_HEADERS,
) -> None:
    """Send a whole response."""
    await start_response(
        send, status, {"content-type": content_type, "content-length": str(len(body)), **headers}
    )
    await send({"type": "http.response.body", "body": body})


async def start_response(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status and the headers of a response."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


def error_response(error: ApiError) -> Response:
    """Return the response that reports an error."""
    return JSONResponse(error_body(error), error.status, error_headers(error))


async def send_error(send: Send, error: ApiError) -> None:
    """Send an error as the whole response."""
    body = json.dumps(error_body(error)).encode()
    await send_body(send, body, JSON, error.status, error_headers(error))


async def refuse_socket(receive: Receive, send: Send, error: ApiError) -> None:
    """Refuse a WebSocket with an HTTP response."""
    body = json.dumps(error_body(error)).encode()
    headers = {"content-type": JSON, **error_headers(error)}
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
