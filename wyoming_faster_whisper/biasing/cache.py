"""The names at hand: fetched while people talk, never waited for twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from ..errors import ServerError

_LOGGER = logging.getLogger(__name__)


class NameCache:
    """The names of the last fetch that worked.

    A fetch begins when somebody begins to speak, and has as long as the sentence
    takes. An utterance waits only while there are no names at all, and not where
    another has waited in vain or the last fetch failed. The first failure in a row is
    a warning.

    Args:
        fetch: asks for the names; raises ServerError.
        interval: seconds between the beginnings of two fetches, at least.
        max_wait: seconds that an utterance waits at most.
        clock: seconds, monotonic.
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
        self._waited = False  # in vain
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        count = "no" if self._names is None else len(self._names)
        doing = ", fetching" if self._fetching else ", failing" if self._failing else ""
        return f"<NameCache {count} names{doing}>"

    @property
    def names(self) -> tuple[str, ...]:
        """What is known now."""
        return self._names or ()

    def refresh(self) -> None:
        """Somebody begins to speak: begin a fetch, if one is due and none runs."""
        due = self._failing or self._clock() - self._last_fetch >= self._interval
        if due and not self._fetching:
            self._last_fetch = self._clock()
            self._task = asyncio.create_task(self._refresh(), name="fetch names")

    async def wait(self) -> tuple[str, ...]:
        """The names for an utterance that has ended; waits only where there are none yet."""
        vain = self._failing or self._waited
        if self._names is None and not vain and self._task is not None:
            _, waiting = await asyncio.wait([self._task], timeout=self._max_wait)
            self._waited = bool(waiting)
        return self.names

    async def close(self) -> None:
        """End a fetch that runs."""
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
        if names != self._names:  # a guess with the same names stays valid
            self._names = names
