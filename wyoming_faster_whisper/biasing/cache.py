"""Cache of the names of a home, refreshed while a client is speaking."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from ..errors import ServerError

_LOGGER = logging.getLogger(__name__)


class NameCache:
    """Cache that holds the names of the last successful fetch. Event loop only.

    A fetch starts when a client begins to speak, so it normally completes before the
    utterance ends. An utterance waits for it only while the cache has never been filled,
    and not after the last fetch failed or an earlier wait timed out. The first of several
    consecutive failures is logged as a warning, the others at debug level.

    Args:
        fetch: fetches the names; raises ServerError.
        interval: minimum seconds between the starts of two fetches. After a failure the
            next fetch may start at once.
        max_wait: maximum seconds that an utterance waits.
        clock: returns seconds, monotonic.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[tuple[str, ...]]],
        *,
        interval: float = 0.0,
        max_wait: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._interval = interval
        self._max_wait = max_wait
        self._clock = clock
        self._names: tuple[str, ...] | None = None  # None: never fetched
        self._last_fetch = float("-inf")  # seconds
        self._failing = False
        self._timed_out = False  # an utterance waited max_wait without getting names
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        count = "no" if self._names is None else len(self._names)
        doing = ", fetching" if self._fetching else ", failing" if self._failing else ""
        return f"<NameCache {count} names{doing}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the last successful fetch; empty before the first."""
        return self._names or ()

    def refresh(self) -> None:
        """Start a fetch if one is due and none is running. Call it when speech begins."""
        due = self._failing or self._clock() - self._last_fetch >= self._interval
        if due and not self._fetching:
            self._last_fetch = self._clock()
            self._task = asyncio.create_task(self._refresh(), name="fetch names")

    async def wait(self) -> tuple[str, ...]:
        """Return the names for an utterance that has ended; see the class for when it waits."""
        hopeless = self._failing or self._timed_out
        if self._names is None and not hopeless and self._task is not None:
            _, pending = await asyncio.wait([self._task], timeout=self._max_wait)
            self._timed_out = bool(pending)
        return self.names

    async def close(self) -> None:
        """Cancel a running fetch and wait until it has stopped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def _fetching(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _refresh(self) -> None:
        try:
            names = await self._fetch()
        except ServerError as error:
            level = logging.DEBUG if self._failing else logging.WARNING
            _LOGGER.log(level, "No names from Home Assistant: %s", error)
            self._failing = True
            return
        if self._names is None or self._failing:
            _LOGGER.info("Names from Home Assistant: %d", len(names))
        self._failing = False
        if names != self._names:  # keep the same tuple, so that guesses made with it stay valid
            self._names = names
