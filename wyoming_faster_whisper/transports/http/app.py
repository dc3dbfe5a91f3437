"""The FastAPI application: the OpenAI-compatible API, the page, /health and /docs."""

from __future__ import annotations

import logging
import mimetypes
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ... import __version__
from ...errors import printable
from .access import PREFIXES
from .api_errors import ApiError
from .linger import LingeringClose
from .origin_check import OriginCheck
from .page import SPEECH
from .replies import error_response, send_error
from .request_log import RequestLog

_LOGGER = logging.getLogger(__name__)

_ENDPOINT = "/audio/transcriptions"
_URL = re.compile("^https?://[^/]*", re.IGNORECASE)

# Headers that browsers may send: those of the OpenAI SDKs. "*" does not cover Authorization.
_REQUEST_HEADERS = (
    "authorization api-key x-api-key content-type accept openai-beta openai-organization "
    "openai-project x-stainless-arch x-stainless-lang x-stainless-os x-stainless-package-version "
    "x-stainless-runtime x-stainless-runtime-version x-stainless-retry-count "
    "x-stainless-timeout x-stainless-read-timeout x-stainless-helper-method prefer"
).split()
_RESPONSE_HEADERS = (
    "x-request-id openai-processing-ms retry-after location preference-applied www-authenticate"
).split()


def build_app(
    routers: Sequence[APIRouter],
    pages: Sequence[BaseRoute],
    *,
    origin_check: OriginCheck,
    origins: Sequence[str],
    log: RequestLog,
    ready: Callable[[], bool],
    authenticated: bool = False,
    identify: Callable[[ASGIApp], ASGIApp],
) -> ASGIApp:
    """Make the application. Blocking: it reads files.

    Args:
        routers: routes of the API, relative to its prefixes.
        pages: routes of the web page, which check the origin themselves.
        origin_check: rejects requests of pages of other web sites.
        origins: origins whose pages may use the API.
        log: of requests that fail.
        ready: returns whether the model is loaded.
        authenticated: whether clients need a key or token.
        identify: puts authentication, and the search for a client's tenant, before an
            application.
    """
    app = FastAPI(
        title="wyoming-faster-whisper",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    for prefix in PREFIXES:
        for router in routers:
            app.include_router(router, prefix=prefix, include_in_schema=prefix == PREFIXES[0])

    @app.get("/health", summary="Tell whether the model is loaded", responses={503: {}})
    async def health() -> Response:
        if ready():
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "loading"}, 503)

    _add_docs(app)
    app.router.routes.extend(pages)
    errors = _Errors(log)
    app.add_exception_handler(StarletteHTTPException, errors.no_route)
    app.add_exception_handler(RequestValidationError, errors.invalid)
    app.add_exception_handler(ApiError, errors.api_error)
    app.add_exception_handler(Exception, errors.internal)
    if authenticated:
        _describe_authentication(app)
    checked: ASGIApp = _OriginMiddleware(identify(app), origin_check, log)
    if origins:
        checked = CORSMiddleware(
            checked,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
        )
    return _PathMiddleware(LingeringClose(_RequestMiddleware(checked)))


def _describe_authentication(app: FastAPI) -> None:
    """Say in /openapi.json that requests need a key; /docs then has a field for it."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["key"] = {"type": "http", "scheme": "bearer"}
        schema["security"] = [{"key": []}]
        schema["paths"]["/health"]["get"]["security"] = []
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_docs(app: FastAPI) -> None:
    """Serve /docs with files of our own; FastAPI's page loads them from a CDN."""
    mimetypes.init()  # reads files, else at the first request
    app.mount("/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="wyoming-faster-whisper",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/icon.svg",
        )


class _Errors:
    """Exception handlers, which answer with OpenAI's error object."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log

    async def no_route(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        path, message = request.url.path, f"{request.method} {printable(request.url.path)}: "
        if error.status_code == 404 and path.count(_ENDPOINT) > 1:
            message += (
                f"the path ends twice in {_ENDPOINT}; the base URL must end before it, in /v1"
            )
        elif error.status_code == 404:
            message += "there is no such path; the API begins with /v1, and /docs describes it"
        else:
            message += str(error.detail).lower()
        response = self._response(request, ApiError(error.status_code, message))
        response.headers.update(error.headers or {})
        return response

    async def invalid(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        message, param = str(first["msg"]), str(first["loc"][-1])
        return self._response(request, ApiError(400, message, param=param))

    async def api_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return self._response(request, error)

    async def internal(self, request: Request, error: Exception) -> Response:
        # _RequestMiddleware logs it.
        internal = ApiError(500, "internal error; see the server's log", type="server_error")
        return error_response(internal)

    def _response(self, request: Request, error: ApiError) -> Response:
        self._log.failed(request.scope, error)
        return error_response(error)


class _PathMiddleware:
    """Takes requests as other HTTP servers do: for paths, and for the method HEAD.

    Final and repeated slashes come from base URLs that end in one; Starlette would redirect the
    client, which not all clients follow with an upload. A proxy may send a whole URL instead of a
    path (RFC 9112, section 3.2.2). HEAD is answered like GET; uvicorn leaves out the body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = re.sub("/+", "/", _URL.sub("", scope["path"], count=1))
        scope = {**scope, "path": path.rstrip("/") or "/"}
        if scope.get("method") == "HEAD":
            scope["method"] = "GET"
        await self._app(scope, receive, send)


class _RequestMiddleware:
    """Adds an id and the processing time to each response, and logs internal errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
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
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _LOGGER.exception("internal error in request %s", identity)
            if not complete:
                raise  # uvicorn closes the connection, so that the client notices


class _OriginMiddleware:
    """Rejects requests of web pages from other origins.

    The WebSocket of this server's page has a stricter check of its own (page.py).
    """

    def __init__(self, app: ASGIApp, origin_check: OriginCheck, log: RequestLog) -> None:
        self._app = app
        self._origin_check = origin_check
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin, host = headers.get("origin", ""), headers.get("host", "")
        page = scope["type"] == "websocket" and scope["path"] == SPEECH
        if not page and not self._origin_check.allows_api(origin, host):
            error = ApiError(
                403,
                f"pages from {printable(origin)!r} may not use this server; see --http-origins",
                code="origin_not_allowed",
            )
            self._log.failed(scope, error)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})  # uvicorn answers 403
            else:
                await send_error(send, error)
            return
        await self._app(scope, receive, send)
