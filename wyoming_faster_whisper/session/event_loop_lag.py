"""Event-loop lag: how late the event loop processes what arrives.

On a busy machine, or after a slow callback, the event loop sees everything that arrived in the
meantime at once. It cannot know when each event arrived, but a timer that was due in the same
time fires equally late and shows the lag.
"""

from __future__ import annotations

import asyncio

_EVERY = 0.2  # seconds between timers; LiveStream tolerates a little more than this


class EventLoopLag:
    """Monitor of the event-loop lag, one for all turns. Without a turn it has no timer.

    Lives on the event loop, but may be created before it runs.
    """

    def __init__(self) -> None:
        self._users: set[object] = set()
        self._timer: asyncio.TimerHandle | None = None  # None without users
        self._due = 0.0  # time when the timer should fire
        self._lag = 0.0  # seconds, the last measurement that still counts
        self._until = 0.0  # time until which events delayed by that lag may still be processed

    @property
    def seconds(self) -> float:
        """Current lag in seconds: an event processed now may have arrived this much earlier.

        Meaningful only between start() and stop().
        """
        now = asyncio.get_running_loop().time()
        return max(now - self._due, self._lag if now < self._until else 0.0, 0.0)

    def start(self, user: object) -> None:
        """Measure until stop() has been called for every user."""
        self._users.add(user)
        if self._timer is None:
            self._schedule()

    def stop(self, user: object) -> None:
        """End what start() began; without effect if that has been done already."""
        self._users.discard(user)
        if not self._users and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _EVERY
        self._timer = loop.call_at(self._due, self._measure)

    def _measure(self) -> None:
        now = asyncio.get_running_loop().time()
        late = now - self._due
        if now + late > self._until:
            self._lag, self._until = late, now + late
        self._schedule()
