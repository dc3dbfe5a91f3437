"""Verifies what a client sends."""

from __future__ import annotations

import asyncio

from ...principal import Principal
from .api_keys import ApiKeys
from .grant import Grant
from .refusal import Reason, Refused


class Authenticator:
    """Verifies keys. Lives on the event loop.

    Args:
        keys: the API keys.
    """

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow changes of the keys."""
        self._watching = asyncio.create_task(self._keys.watch())

    async def close(self) -> None:
        """Stop following changes."""
        if self._watching is not None:
            self._watching.cancel()

    async def verify(self, text: str) -> Grant:
        """Return what a key allows.

        Args:
            text: of limited length, visible ASCII.

        Raises:
            Refused: it is not accepted.
        """
        grant = self._keys.find(text)
        if grant is None:
            raise Refused(Reason.UNKNOWN_KEY, "this key is not known")
        return grant

    def renew(self, principal: Principal) -> Grant:
        """Return what a client may do now, after it was authenticated before.

        Args:
            principal: of an earlier grant.

        Raises:
            Refused: its key has been deleted.
        """
        grant = self._keys.renew(principal)
        if grant is None:
            raise Refused(
                Reason.REVOKED,
                "the key behind this client secret is no longer valid",
                name=principal.name,
            )
        return grant
