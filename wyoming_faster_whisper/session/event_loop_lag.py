"""Event-loop lag: how late the event loop processes what arrives.

On a busy machine, or after a slow callback, the event loop sees everything that arrived in the
meantime at once. It cannot know when each event arrived, but a timer that was due in the same
time fires equally late and shows the lag.
"""

from __future__ import annotations

import asyncio

_EVERY = 0.2  # seconds between timers; LiveStream tolerates a little more than this


class EventLoopLag:
    """Monitor of the event-loop lag. It measures from its creation until stop()."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lag = 0.0  # seconds, the last measurement that still counts
        self._until = 0.0  # time until which events delayed by that lag may still be processed
        self._schedule()

    @property
    def seconds(self) -> float:
        """Current lag in seconds: an event processed now may have arrived this much earlier."""
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
