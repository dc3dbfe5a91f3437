"""Cache of an issuer's keys: fetched at the start, when they are old, and for unknown key ids.

At most one fetch begins per cool-down, whatever clients send. While the issuer cannot be reached,
the keys that were fetched last are used.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Protocol

from .jwk import ASYMMETRIC, VerificationKey, parse_key_set
from .refusal import Reason, Refused

_LOGGER = logging.getLogger(__name__)

COOL_DOWN = 30.0
"""Seconds between the beginnings of two fetches."""

EARLY = 240.0
"""Age in seconds from which keys are refreshed in the background."""

OLD = 300.0
"""Age in seconds from which a token waits for a refresh."""

LONGEST = 86_400.0
"""Age in seconds from which keys are no longer used."""


class FetchError(Exception):
    """The keys could not be fetched; the message says why."""


class KeySource(Protocol):
    """Source of a key set."""

    @property
    def name(self) -> str: ...  # in the log

    async def fetch(self) -> bytes:
        """Return the key set.

        Raises:
            FetchError: it could not be fetched.
        """

    async def close(self) -> None: ...


class Jwks:
    """The keys of an issuer. Lives on the event loop.

    Args:
        source: returns the key set.
    """

    algorithms = ASYMMETRIC

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._keys: tuple[VerificationKey, ...] = ()
        self._fetched = -math.inf  # time of the last success, in seconds of the loop's clock
        self._begun = -math.inf  # time of the last attempt
        self._fetching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to fetch the keys."""
        self._begin()

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._source.close()

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        """Return the key of a token.

        Args:
            kid: id of the key; None = the only one for the algorithm.
            algorithm: one of algorithms.

        Raises:
            Refused: there is no such key, or none could be fetched.
        """
        if self._age >= OLD:
            await self._refresh()
        elif self._age >= EARLY:
            self._begin()
        if self._age < LONGEST and (key := self._lookup(kid, algorithm)):
            return key
        await self._refresh()
        if self._age >= LONGEST:
            raise Refused(
                Reason.UNAVAILABLE, "the keys of the token's issuer are not available; try later"
            )
        if key := self._lookup(kid, algorithm):
            return key
        raise Refused(Reason.SIGNATURE, "the token is not signed with a key of the issuer")

    @property
    def _age(self) -> float:
        return asyncio.get_running_loop().time() - self._fetched

    def _lookup(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        fits = [key for key in self._keys if key.algorithm == algorithm]
        if kid is None:
            return fits[0] if len(fits) == 1 else None
        return next((key for key in fits if key.kid == kid), None)

    def _begin(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._fetching is None and now - self._begun >= COOL_DOWN:
            self._begun = now
            self._fetching = asyncio.create_task(self._fetch_keys())

    async def _refresh(self) -> None:
        """Wait for a fetch that has begun or may begin now. A failure changes nothing."""
        self._begin()
        if self._fetching is not None:
            # Shielded: others may wait for it too.
            await asyncio.shield(self._fetching)

    async def _fetch_keys(self) -> None:
        try:
            self._keys = parse_key_set(await self._source.fetch())
            self._fetched = asyncio.get_running_loop().time()
        except (FetchError, ValueError) as error:
            _LOGGER.warning(
                "%s cannot be used: %s; %s",
                self._source.name,
                error,
                "tokens are refused"
                if self._age >= LONGEST
                else "the keys fetched last stay valid",
            )
        finally:
            self._fetching = None
