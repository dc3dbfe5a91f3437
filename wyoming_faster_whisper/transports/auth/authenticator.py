"""Verifies what a client sends: an API key, or a token of the issuer."""

from __future__ import annotations

import asyncio
from typing import Protocol

from ...principal import Principal
from .api_keys import ApiKeys
from .grant import Grant
from .refusal import Reason, Refused
from .token_header import token_header


class Tokens(Protocol):
    """Verifies tokens; tokens.py does."""

    async def verify(self, token: str) -> Grant:
        """Return what a token allows.

        Raises:
            Refused: it is not accepted.
        """

    def renew(self, principal: Principal) -> Grant | None:
        """Return what the owner of a verified token may do now; None if it has expired."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Authenticator:
    """Verifies keys and tokens. Lives on the event loop.

    Args:
        keys: the API keys; None = there are none.
        tokens: verifies tokens; None = there is no issuer.
    """

    def __init__(self, keys: ApiKeys | None, tokens: Tokens | None) -> None:
        self._keys = keys
        self._tokens = tokens
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow changes of the keys, and to fetch those of the issuer."""
        if self._keys is not None:
            self._watching = asyncio.create_task(self._keys.watch())
        if self._tokens is not None:
            await self._tokens.start()

    async def close(self) -> None:
        """Stop following changes."""
        if self._watching is not None:
            self._watching.cancel()
        if self._tokens is not None:
            await self._tokens.close()

    async def verify(self, text: str) -> Grant:
        """Return what a key or token allows.

        Args:
            text: of limited length, visible ASCII.

        Raises:
            Refused: it is not accepted.
        """
        if self._tokens is not None and token_header(text) is not None:
            return await self._tokens.verify(text)
        grant = self._keys.find(text) if self._keys is not None else None
        if grant is None:
            raise Refused(Reason.UNKNOWN_KEY, "this key is not known")
        return grant

    def renew(self, principal: Principal) -> Grant:
        """Return what a client may do now, after it was authenticated before.

        Args:
            principal: of an earlier grant.

        Raises:
            Refused: its key has been deleted, or its token has expired.
        """
        grant = self._keys.renew(principal) if self._keys is not None else None
        if grant is None and self._tokens is not None:
            grant = self._tokens.renew(principal)
        if grant is None:
            raise Refused(
                Reason.REVOKED,
                "the key or token of this client secret is no longer valid",
                name=principal.name,
            )
        return grant
