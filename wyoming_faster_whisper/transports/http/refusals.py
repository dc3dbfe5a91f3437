"""Consequences of a refused authentication: a response, a line in the log, a count."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import counted, printable
from ..auth.refusal import Reason, Refused
from ..auth.scopes import Scope
from ..rejections import Rejections
from .api_errors import ApiError

_LOGGER = logging.getLogger(__name__)

_REALM = 'Bearer realm="wyoming-faster-whisper"'
_RETRY_AFTER = 5.0  # seconds for the issuer to come back


def api_error(error: Refused, needed: Scope | None) -> ApiError:
    """Return the response to a request, with the challenge of RFC 6750.

    Args:
        needed: the scope that the request needs.
    """
    message = str(error)
    match error.reason:
        case Reason.MISSING:
            return ApiError(401, message, code="invalid_api_key", challenge=_REALM)
        case Reason.IN_URL | Reason.AMBIGUOUS:
            challenge = _challenge("invalid_request", message)
            return ApiError(400, message, code="invalid_request", challenge=challenge)
        case Reason.SCOPE:
            challenge = f'{_challenge("insufficient_scope", message)}, scope="{needed}"'
            return ApiError(
                403,
                message,
                type="permission_error",
                code="insufficient_permissions",
                challenge=challenge,
            )
        case Reason.UNAVAILABLE:
            return ApiError(
                503,
                message,
                type="server_error",
                code="issuer_unavailable",
                retry_after=_RETRY_AFTER,
            )
    challenge = _challenge("invalid_token", message)
    return ApiError(401, message, code="invalid_api_key", challenge=challenge)


def _challenge(error: str, description: str) -> str:
    return f'{_REALM}, error="{error}", error_description="{description}"'


@dataclass(frozen=True, slots=True)
class _Event:
    reason: Reason
    name: str
    address: str


class RefusalLog:
    """Logs and counts refusals, at most one line a second. Lives on the event loop.

    Args:
        count: called for each refusal.
    """

    def __init__(self, count: Callable[[Reason], None]) -> None:
        self._count = count
        self._rejections: Rejections[_Event] = Rejections(self._log)

    def add(self, error: Refused, address: str) -> None:
        """Record a refusal.

        Args:
            address: of the client; "" if it has none.
        """
        self._count(error.reason)
        self._rejections.add(_Event(error.reason, printable(error.name), address))

    def stop(self) -> None:
        """Stop logging."""
        self._rejections.stop()

    @staticmethod
    def _log(count: int, most: _Event) -> None:
        who = " at ".join(filter(None, (most.name, most.address))) or "a client"
        _LOGGER.warning(
            "authentication refused: %s, %s (%s)",
            who,
            most.reason,
            counted(count, "refusal"),
            extra={
                "fields": {
                    "event": "authentication_refused",
                    "reason": most.reason.value,
                    "principal": most.name or None,
                    "address": most.address or None,
                    "count": count,
                }
            },
        )
