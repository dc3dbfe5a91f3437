"""Errors of the HTTP API: status, OpenAI's error object, and when a client should retry. Pure.

OpenAI's clients retry 408, 409, 429 and 5xx twice unless x-should-retry says otherwise. So no
fault of a request or of its audio has a status of 500 or above.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import (
    AudioError,
    Busy,
    EngineError,
    Hung,
    ModelError,
    NotAllowed,
    NotAuthenticated,
    Overloaded,
    ProtocolError,
    ServerError,
    Stopping,
    StorageError,
    TooSlow,
)
from ..auth.refusal import TokenExpired

LONGEST_RETRY_AFTER = 60
"""Seconds. For longer waits OpenAI's Node client falls back to its own delay of at most 8 s."""

_INVALID = "invalid_request_error"
_SERVER = "server_error"


class ApiError(Exception):
    """An error that the client gets as a status and an OpenAI error object.

    Args:
        status: HTTP status, 400 or above.
        message: what was received, what is accepted.
        type: OpenAI's error type.
        param: the form field or parameter at fault.
        code: OpenAI's error code.
        retry_after: estimated seconds until a retry can succeed.
        should_retry: overrides the client's own rule; None = leave it to the client.
        challenge: value of the header WWW-Authenticate.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = _INVALID,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        challenge: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.challenge = challenge


def error_body(error: ApiError) -> dict[str, dict[str, str | None]]:
    """Return OpenAI's error object, which always has all four keys."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def error_headers(error: ApiError) -> dict[str, str]:
    """Return the headers of a response, where set.

    They are Retry-After (a whole number of seconds, 1 to 60), x-should-retry and
    WWW-Authenticate.
    """
    headers = {}
    if error.retry_after is not None:
        seconds = math.ceil(min(max(1.0, error.retry_after), LONGEST_RETRY_AFTER))
        headers["Retry-After"] = str(seconds)
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if error.challenge is not None:
        headers["WWW-Authenticate"] = error.challenge
    return headers


@dataclass(frozen=True, slots=True)
class _Kind:
    """Form in which the API reports one class of ServerError."""

    status: int
    type: str
    code: str
    param: str | None = None
    waits: bool = False  # a later retry can succeed: send Retry-After
    least_wait: float = 0.0  # seconds
    should_retry: bool | None = None


# An error has the kind of the first of its classes that is listed, its own class first.
_KINDS: dict[type[Exception], _Kind] = {
    AudioError: _Kind(400, _INVALID, "unsupported_value", param="file"),
    ProtocolError: _Kind(400, _INVALID, "invalid_request"),
    # OpenAI's code for a session that has reached its end.
    TokenExpired: _Kind(401, _INVALID, "session_expired"),
    NotAuthenticated: _Kind(401, _INVALID, "invalid_api_key"),
    NotAllowed: _Kind(403, "permission_error", "insufficient_permissions"),
    TooSlow: _Kind(408, _INVALID, "request_timeout"),
    Overloaded: _Kind(503, _SERVER, "overloaded", waits=True),
    Busy: _Kind(429, "rate_limit_error", "rate_limit_exceeded", waits=True),
    # A restart takes as long as the model loads.
    Stopping: _Kind(503, _SERVER, "server_stopping", waits=True, least_wait=5.0),
    # The decode of the same audio would hang again.
    Hung: _Kind(500, _SERVER, "engine_error", should_retry=False),
    EngineError: _Kind(500, _SERVER, "engine_error"),
    ModelError: _Kind(503, _SERVER, "model_not_ready", waits=True),
    # The uploads in progress free the disk when they end.
    StorageError: _Kind(503, _SERVER, "storage_full", waits=True),
    ServerError: _Kind(500, _SERVER, "internal_error"),
}


def from_server_error(error: ServerError, *, retry_after: float = 1.0) -> ApiError:
    """Return the API's form of an error of this package.

    Args:
        retry_after: estimated seconds until the queue has room or the model is loaded; it is
            sent only with the statuses 429 and 503.
    """
    kind = next(_KINDS[each] for each in type(error).__mro__ if each in _KINDS)
    if isinstance(error, Busy) and error.retry_after is not None:
        retry_after = error.retry_after
    return ApiError(
        kind.status,
        str(error),
        type=kind.type,
        param=kind.param,
        code=kind.code,
        retry_after=max(retry_after, kind.least_wait) if kind.waits else None,
        should_retry=kind.should_retry,
    )


def api_error(error: BaseException, retry_after: Callable[[], int]) -> ApiError:
    """Return the error to send to the client.

    Args:
        error: an ApiError or a ServerError.
        retry_after: returns the seconds after which a client that got "busy" may try again.
    """
    if isinstance(error, ApiError):
        return error
    assert isinstance(error, ServerError)
    return from_server_error(error, retry_after=retry_after())
