"""The FastAPI application: the OpenAI-compatible API, the page, /health and /docs."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ... import __version__
from ...errors import printable
from .access import PREFIXES
from .api_errors import ApiError
from .middleware import lingering_close, own_origins, request_ids, tolerant_requests
from .origin_check import OriginCheck
from .replies import error_response, refuse_socket
from .request_log import RequestLog

_LOGGER = logging.getLogger(__name__)

_ENDPOINT = "/audio/transcriptions"

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
    authenticated: bool,
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
        servers=[{"url": "."}],  # relative to /openapi.json
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

    app.router.routes.extend(pages)
    app.router.routes.append(WebSocketRoute("/{path:path}", _NoSocket()))
    _add_docs(app)  # after that route: StaticFiles fails at a WebSocket
    errors = _Errors(log)
    app.add_exception_handler(StarletteHTTPException, errors.no_route)
    app.add_exception_handler(RequestValidationError, errors.invalid)
    app.add_exception_handler(ApiError, errors.api_error)
    app.add_exception_handler(Exception, errors.internal)
    if authenticated:
        _describe_authentication(app)
    checked: ASGIApp = own_origins(identify(app), origin_check, log)
    if origins:
        checked = CORSMiddleware(
            checked,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
        )
    return tolerant_requests(lingering_close(request_ids(checked)))


class _NoSocket:
    """ASGI application that refuses a WebSocket at a path that has none.

    Starlette answers 403, which looks like a wrong key.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"{printable(scope['path'])} takes no WebSocket; /v1/realtime does"
        await refuse_socket(receive, send, ApiError(404, message))


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
    """Serve /docs with files of our own; FastAPI's page loads them from a CDN.

    Its URLs are relative: a proxy may serve the API below a path that this server does not know.
    """
    if not mimetypes.inited:
        mimetypes.init()  # reads files, else at the first request
    app.mount("/swagger", StaticFiles(packages=[("fastapi_swagger", "resources")]))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        # A slash at the end, which tolerant_requests() accepts, makes it a folder to browsers.
        folder = "../" if request.scope["raw_path"].endswith(b"/") else ""
        return get_swagger_ui_html(
            openapi_url=f"{folder}openapi.json",
            title="wyoming-faster-whisper",
            swagger_js_url=f"{folder}swagger/swagger-ui-bundle.js",
            swagger_css_url=f"{folder}swagger/swagger-ui.css",
            swagger_favicon_url=f"{folder}icon.svg",
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
        param, why = str(first["loc"][-1]), str(first["msg"])
        message = f"{param} is {printable(first['input'])!r}: {why[:1].lower()}{why[1:]}"
        return self._response(request, ApiError(400, message, param=param))

    async def api_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return self._response(request, error)

    async def internal(self, request: Request, error: Exception) -> Response:
        # request_ids() logs it.
        internal = ApiError(500, "internal error; see the server's log", type="server_error")
        return error_response(internal)

    def _response(self, request: Request, error: ApiError) -> Response:
        self._log.failed(request.scope, error)
        return error_response(error)
