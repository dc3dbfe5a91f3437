"""How late the event loop is with what comes to it.

On a busy machine, or behind a callback that takes its time, it sees late and all at once
what came meanwhile. Nothing says when that came; but a timer of our own was as late.
"""

from __future__ import annotations

import asyncio

_EVERY = 0.2  # seconds; Pace bears with who is late by a little more


class EventLoopLag:
    """Measures itself from now on until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lag = 0.0  # seconds, when it was last
        self._until = 0.0  # what came then has been seen to by this time
        self._schedule()

    @property
    def seconds(self) -> float:
        """By how much earlier what is seen now may have come."""
        now = self._loop.time()
        return max(now - self._due, self._lag if now < self._until else 0.0, 0.0)

    def stop(self) -> None:
        self._timer.cancel()

    def _schedule(self) -> None:
        self._due = self._loop.time() + _EVERY
        self._timer = self._loop.call_at(self._due, self._measure)

    def _measure(self) -> None:
        now = self._loop.time()
        late = now - self._due
        if now + late > self._until:
            self._lag, self._until = late, now + late
        self._schedule()
