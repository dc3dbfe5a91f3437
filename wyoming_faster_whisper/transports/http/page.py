"""The page to try the server with, and the WebSocket that it speaks through."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import printable
from .origin_check import OriginCheck
from .websocket import SpeechSockets

_LOGGER = logging.getLogger(__name__)

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/capture.js": ("capture.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

# What is said of every answer but a refusal: nothing but our own files runs or is loaded, and
# nobody frames the page.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """What the page says of the server."""

    model: str
    languages: tuple[str, ...]  # that can be asked for
    ready: Callable[[], bool]  # the model is loaded


def build_page(
    speech: SpeechSockets, about: ServerDescription, origin_check: OriginCheck
) -> ASGIApp:
    """Make the application. Blocking: it reads the page's files."""
    folder = resources.files(__package__) / "static"
    routes = [
        Route(path, _file((folder / name).read_bytes(), kind))
        for path, (name, kind) in _FILES.items()
    ]

    async def tell(request: Request) -> Response:
        return JSONResponse(
            {"model": about.model, "languages": about.languages, "ready": about.ready()}
        )

    app = Starlette(
        routes=[*routes, Route("/about", tell), WebSocketRoute("/speech", speech.serve)]
    )
    return _CheckedApp(app, origin_check)


def _file(data: bytes, kind: str) -> Callable[[Request], Any]:
    async def send(request: Request) -> Response:
        return Response(data, media_type=kind)

    return send


class _CheckedApp:
    """Lets nobody in who was led here by another web site."""

    def __init__(self, app: ASGIApp, origin_check: OriginCheck) -> None:
        self._app = app
        self._origin_check = origin_check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        refusal = self._refusal(scope["type"], host, headers.get("origin", ""))
        if refusal is not None:
            _LOGGER.warning("%s: %s", _peer(scope), refusal)
            if scope["type"] == "websocket":
                # uvicorn answers 403. A page's script could not read a sentence, and uvicorn
                # takes a handshake that is answered with one for a mistake of ours.
                await send({"type": "websocket.close"})
            else:
                await PlainTextResponse(f"{refusal}\n", 403)(scope, receive, send)
            return
        said = {
            name: value.format(sockets=f"ws://{host} wss://{host}")
            for name, value in _HEADERS.items()
        }

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(n.encode(), v.encode()) for n, v in said.items()]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, kind: str, host: str, origin: str) -> str | None:
        if not self._origin_check.is_own_host(host):
            return (
                f"this server is not known as {printable(host)!r}; "
                "use its address, or give the name with --web-names"
            )
        if kind == "websocket" and not self._origin_check.is_same_origin(origin, host):
            return f"a page of {printable(origin)!r} may not listen here; open our own"
        return None


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "web"
