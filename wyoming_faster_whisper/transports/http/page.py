"""Web page for trying the server, and the route of its WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ...engine.recognizer import ServedModel
from ...errors import printable
from ...session.tenant_offer import models_for
from .access import PAGE_FILES
from .api_errors import ApiError
from .credentials import principal_of
from .offline import OfflineFiles, OfflineRoutes
from .origin_check import OriginCheck
from .request_log import RequestLog
from .websocket import SpeechSockets

SPEECH = "/speech"
"""Path of the page's WebSocket."""

# Headers of all responses except rejections. They let the browser run and load only this server's
# files, and forbid other sites to put the page in a frame.
_HEADERS = {
    # WebAssembly is needed for recognition on the device.
    "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {sockets}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # Both let the page use several threads for recognition on the device.
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """Description of the server that the page shows."""

    models: tuple[ServedModel, ...]  # the default first
    ready: Callable[[], bool]  # returns whether the model is loaded
    offline: bool = False  # the page can be told to work without the server


def page_routes(
    speech: SpeechSockets,
    about: ServerDescription,
    origin_check: OriginCheck,
    log: RequestLog,
    offline: OfflineFiles | None,
) -> list[Route | WebSocketRoute]:
    """Make the routes of the page. Blocking: it reads the page's files.

    Args:
        speech: serves the page's WebSocket.
        about: what the page shows about the server.
        origin_check: rejects requests from other web sites.
        log: of rejected requests.
        offline: files for the page to work without the server; None = not available.
    """
    folder = resources.files(__package__) / "static"
    routes: list[Route | WebSocketRoute] = [
        Route(path, _file((folder / name).read_bytes(), kind))
        for path, (name, kind) in PAGE_FILES.items()
    ]

    async def tell(request: Request) -> Response:
        model = models_for(about.models, principal_of(request.scope).tenant)[0]
        return JSONResponse(
            {
                "model": model.name,
                "languages": model.languages,
                "capabilities": model.capabilities.names,
                # Text appears during speech, not only after long pauses.
                "streams": model.capabilities.continues_prefix,
                "ready": about.ready(),
                "offline": about.offline,
            }
        )

    routes += [Route("/about", tell), WebSocketRoute(SPEECH, speech.serve)]
    if offline is not None:
        routes += OfflineRoutes(offline).routes()
    for route in routes:
        route.app = _CheckedApp(route.app, origin_check, log)
    return routes


def _file(data: bytes, kind: str) -> Callable[[Request], Any]:
    async def send(request: Request) -> Response:
        return Response(data, media_type=kind)

    return send


class _CheckedApp:
    """Route's ASGI app that rejects requests from other web sites and adds security headers."""

    def __init__(self, app: ASGIApp, origin_check: OriginCheck, log: RequestLog) -> None:
        self._app = app
        self._origin_check = origin_check
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        refusal = self._refusal(scope["type"], host, headers.get("origin", ""))
        if refusal is not None:
            self._log.failed(scope, ApiError(403, refusal))
            if scope["type"] == "websocket":
                # uvicorn answers 403 without a body. A script could not read a body anyway, and
                # uvicorn treats a response with a body to a handshake as an application error.
                await send({"type": "websocket.close"})
            else:
                await PlainTextResponse(f"{refusal}\n", 403)(scope, receive, send)
            return
        security_headers = {
            name: value.format(sockets=f"ws://{host} wss://{host}")
            for name, value in _HEADERS.items()
        }

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                headers = ((n.encode(), v.encode()) for n, v in security_headers.items())
                message["headers"] += [each for each in headers if each[0] not in own]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, kind: str, host: str, origin: str) -> str | None:
        if not self._origin_check.is_own_host(host):
            return (
                f"{printable(host)!r} is not a known name of this server; "
                "use its IP address, or add the name with --http-names"
            )
        if kind == "websocket" and not self._origin_check.is_same_origin(origin, host):
            return f"a page from {printable(origin)!r} may not connect; open this server's page"
        return None
