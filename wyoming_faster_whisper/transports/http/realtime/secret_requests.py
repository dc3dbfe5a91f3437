"""Requests for client secrets: POST /realtime/client_secrets, and the names of the beta."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ....errors import printable
from ....principal import Principal
from ..api_errors import ApiError
from ..catalogue import Catalogue
from ..credentials import Authenticate, key_of
from .client_messages import RealtimeError, new_id
from .client_secrets import PREFIX, ClientSecrets, Secret
from .session import RealtimeSession
from .update import updated

_LARGEST_BODY = 64 * 1024  # bytes
_SECONDS = range(10, 7200 + 1)  # for which a client secret is valid
_DEFAULT_SECONDS = 600
_BETA_SECONDS = 60


class SecretRequests:
    """Makes client secrets for clients that have a key of their own.

    Args:
        secrets: makes the secrets.
        default: session for a request that gives none.
        authenticate: see Authenticate.
        catalogue: the models that are offered.
        session_seconds: maximum length of a session, as sent to the client.
    """

    def __init__(
        self,
        secrets: ClientSecrets,
        default: RealtimeSession,
        *,
        authenticate: Authenticate,
        catalogue: Catalogue,
        session_seconds: float,
    ) -> None:
        self._secrets = secrets
        self._default = default
        self._authenticate = authenticate
        self._catalogue = catalogue
        self._session_seconds = session_seconds

    async def make(self, request: Request) -> Response:
        """Endpoint of POST /realtime/client_secrets."""
        return await self._answer(request, self._secret)

    async def make_beta(self, request: Request) -> Response:
        """Endpoint of the same requests in the form of the beta."""
        return await self._answer(request, self._beta_secret)

    async def _answer(
        self,
        request: Request,
        make: Callable[[Mapping[str, Any], Principal], dict[str, Any]],
    ) -> Response:
        key = key_of(request)
        if key is not None and key.startswith(PREFIX):
            raise ApiError(401, "a client secret cannot make another one", code="invalid_api_key")
        principal = await self._authenticate(request, key)
        body = await _read_object(request)
        try:
            return JSONResponse(make(body, principal))
        except RealtimeError as error:
            raise error.as_api_error() from None

    def _secret(self, body: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
        session = self._checked(body.get("session") or {}, principal)
        wanted = _seconds(body.get("expires_after"), "expires_after", _DEFAULT_SECONDS)
        seconds = _limited(wanted, principal)
        return {
            "value": self._secrets.make(Secret(session.body(), principal), seconds),
            "expires_at": int(time.time() + seconds),
            "session": {**self._identity(), **session.body()},
        }

    def _beta_secret(self, body: Mapping[str, Any], principal: Principal) -> dict[str, Any]:
        session = self._checked({**body, "type": None}, principal)
        wanted = _member(body, "client_secret").get("expires_at")
        asked = _seconds(wanted, "client_secret.expires_at", _BETA_SECONDS)
        seconds = _limited(asked, principal)
        secret = self._secrets.make(Secret(session.body(), principal), seconds)
        return {
            **self._identity(),
            **session.beta_body(),
            "client_secret": {"value": secret, "expires_at": int(time.time() + seconds)},
        }

    def _checked(self, given: object, principal: Principal) -> RealtimeSession:
        session = updated(self._default, given)
        session.request(self._catalogue.of(principal.tenant).resolve(session.model or ""))
        return session

    def _identity(self) -> dict[str, Any]:
        return {
            "id": new_id("sess"),
            "object": "realtime.transcription_session",
            "expires_at": int(time.time() + self._session_seconds),
        }


async def _read_object(request: Request) -> Mapping[str, Any]:
    """Read a JSON object; an empty body counts as an empty one.

    Raises:
        ApiError: the body is too large, or not a JSON object.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise ApiError(
                413, f"the body has more than {_LARGEST_BODY} bytes", code="request_too_large"
            )
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ApiError(400, f"{printable(bytes(body[:40]))} is not JSON") from None
    if not isinstance(given, dict):
        raise ApiError(400, "the body is not a JSON object")
    return given


def _member(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise ApiError(400, f"{name} must be an object", param=name)
    return value


def _limited(seconds: int, principal: Principal) -> float:
    """Return for how long a client secret is valid: not longer than the token of its maker."""
    return seconds if principal.until is None else min(seconds, principal.until - time.time())


def _seconds(wanted: object, param: str, default: int) -> int:
    """Return the seconds for which a client secret is to be valid."""
    if wanted is None:
        return default
    members = wanted if isinstance(wanted, dict) else {}
    seconds = members.get("seconds", default)
    if members.get("anchor", "created_at") != "created_at":
        raise ApiError(400, "anchor must be created_at", param=f"{param}.anchor")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds not in _SECONDS:
        raise ApiError(
            400,
            f"seconds is {printable(seconds, 20)}; it must be a whole number from "
            f"{_SECONDS[0]} to {_SECONDS[-1]}",
            param=f"{param}.seconds",
        )
    return seconds
