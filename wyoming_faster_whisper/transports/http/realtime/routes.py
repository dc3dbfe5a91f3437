"""Real-time transcription over WebSocket, and the client secrets for it: OpenAI's realtime API.

Routes, relative to the prefix of the API:

    WS   /realtime
    POST /realtime/client_secrets
    POST /realtime/transcription_sessions, /realtime/sessions     names of the beta
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from ....principal import Principal
from ....session.session import SessionContext
from ...admission import Admission
from ...lifecycle import ClientLimits
from ...rejections import Rejections
from ..api_errors import ApiError
from ..catalogue import Catalogue
from ..credentials import Authenticate, key_of
from ..replies import refuse_socket
from ..sockets import Sockets
from .client import Opening, RealtimeClient, RealtimeLimits
from .client_messages import RealtimeError
from .client_secrets import PREFIX, ClientSecrets
from .secret_requests import SecretRequests
from .session import RealtimeSession
from .update import updated

_LOGGER = logging.getLogger(__name__)

_BETA_PROTOCOL = "openai-beta.realtime-v1"
_BETA_HEADER = "realtime=v1"


class Realtime:
    """Serves the realtime API. Lives on the event loop.

    Args:
        context: what all sessions share.
        limits: time limits for each client.
        admission: admission control. Realtime clients are counted separately from others.
        authenticate: see Authenticate. It is not asked about client secrets.
        catalogue: the models that are offered.
        own_limits: further limits for each client.
    """

    def __init__(
        self,
        context: SessionContext,
        limits: ClientLimits,
        admission: Admission,
        *,
        authenticate: Authenticate,
        catalogue: Catalogue,
        own_limits: RealtimeLimits | None = None,
    ) -> None:
        self._context = context
        self._limits = limits
        self._authenticate = authenticate
        self._catalogue = catalogue
        self._own_limits = own_limits or RealtimeLimits()
        self._secrets = ClientSecrets()
        # The default threshold is that of the server's settings.
        default = RealtimeSession()
        vad = replace(default.vad, threshold=context.rules.threshold)
        self._default = replace(default, vad=vad)
        self.sockets = Sockets(admission)
        self._rejections: Rejections[str] = Rejections(
            lambda count, why: _LOGGER.warning("realtime clients rejected: %d; %s", count, why)
        )

    def routes(self) -> list[BaseRoute]:
        """Return the routes, relative to the prefix of the API."""
        making = SecretRequests(
            self._secrets,
            self._default,
            authenticate=self._authenticate,
            catalogue=self._catalogue,
            session_seconds=self._own_limits.session,
        )
        beta = ("/realtime/transcription_sessions", "/realtime/sessions")
        return [
            WebSocketRoute("/realtime", _Endpoint(self._serve)),
            Route("/realtime/client_secrets", making.make, methods=["POST"]),
            *(Route(path, making.make_beta, methods=["POST"]) for path in beta),
        ]

    def maker(self, secret: str) -> Principal:
        """Return the client that has made a client secret.

        Raises:
            ApiError: 401, the secret is not valid, or has expired.
        """
        return self._secrets.read(secret).principal

    async def drain(self, seconds: float) -> None:
        """See Sockets.drain()."""
        self._rejections.stop()
        await self.sockets.drain(seconds)

    async def _serve(self, websocket: WebSocket, receive: Receive) -> None:
        """Serve one WebSocket until it ends."""
        try:
            opening = await self._open(websocket)
        except ApiError as error:
            self._rejections.add(str(error))
            await refuse_socket(receive, websocket.send, error)
            return
        await self.sockets.serve(
            RealtimeClient(
                websocket,
                opening,
                self._context,
                self._limits,
                self._own_limits,
                resolve=self._catalogue.of(opening.principal.tenant).resolve,
            )
        )

    async def _open(self, websocket: WebSocket) -> Opening:
        """Authenticate the client that opens a WebSocket, and make its session.

        Raises:
            ApiError: the key is not accepted, or the model is not known or does not support the
                language of the session.
        """
        offered = websocket.scope.get("subprotocols", ())
        key = key_of(websocket, offered)
        session = self._default
        if key is not None and key.startswith(PREFIX):
            secret = self._secrets.read(key)
            principal = self._context.tenants.assign(secret.principal)
            session = updated(session, secret.session)
        else:
            principal = await self._authenticate(websocket, key)
        if model := websocket.query_params.get("model"):
            session = replace(session, model=model)
            try:
                session.request(self._catalogue.of(principal.tenant).resolve(model))
            except RealtimeError as error:
                raise error.as_api_error() from None
        header = websocket.headers.get("openai-beta", "")
        return Opening(principal, session, _BETA_PROTOCOL in offered or _BETA_HEADER in header)


class _Endpoint:
    """ASGI application of the WebSocket route.

    Starlette's own WebSocket cannot receive after a refusal, and refuse_socket() has to.
    """

    def __init__(self, serve: Callable[[WebSocket, Receive], Awaitable[None]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(WebSocket(scope, receive, send), receive)
