"""Log of requests that failed: a client that sends many bad requests writes few lines."""

from __future__ import annotations

import logging

from starlette.types import Scope

from ..rejections import Rejections
from .api_errors import ApiError
from .credentials import principal_of

_LOGGER = logging.getLogger(__name__)


class RequestLog:
    """Logs failed requests, those that a client caused at most once a second.

    Lives on the event loop.
    """

    def __init__(self) -> None:
        self._refused: Rejections[str] = Rejections(
            lambda count, why: _LOGGER.warning("requests refused: %d; %s", count, why)
        )
        self._abandoned: Rejections[str] = Rejections(
            lambda count, who: _LOGGER.info("requests abandoned: %d; %s", count, who)
        )

    def failed(self, scope: Scope, error: ApiError) -> None:
        """Log a request that was answered with an error."""
        principal = principal_of(scope)
        if error.status >= 500 and error.retry_after is None:
            _LOGGER.warning("%s: %s", principal.name, error)
        else:
            self._refused.add(f"{principal.name}: {error}")

    def abandoned(self, scope: Scope) -> None:
        """Log a client that left before its file was transcribed."""
        self._abandoned.add(f"{principal_of(scope).name} left before its file was transcribed")

    def stop(self) -> None:
        """Stop logging."""
        self._refused.stop()
        self._abandoned.stop()
