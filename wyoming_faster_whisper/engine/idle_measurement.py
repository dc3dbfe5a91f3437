"""Repeated measurement of the decode time while no client needs the model.

Other programs may have been busy during the measurement that follows the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_DAY = 86_400.0  # seconds


class IdleMeasurement:
    """Decides when the decode time is measured again. Create it in the event loop.

    Args:
        first_after: seconds from the load to the first repetition. Each interval between
            further measurements is twice the previous one, at most a day.
        idle_time: seconds without speech before a measurement may start.
        ready: returns True while the model is loaded.
        busy: returns True while the queue has work.
        begin: starts a measurement in a thread. Its argument returns True, in that thread,
            once a client needs the model; the measurement then ends early. ended() must follow.
    """

    def __init__(
        self,
        first_after: float,
        idle_time: float,
        *,
        ready: Callable[[], bool],
        busy: Callable[[], bool],
        begin: Callable[[Callable[[], bool]], None],
    ) -> None:
        self._interval = first_after  # seconds between the last measurement and the next
        self._idle_time = idle_time
        self._ready = ready
        self._busy = busy
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._uses = 0  # number of times that clients needed the model, since the start
        self._uses_at_begin = 0
        self._last_use = 0.0  # seconds on the loop's clock
        self.running = False

    def used(self) -> None:
        """Note that a client needs the model."""
        self._uses += 1
        self._last_use = self._loop.time()

    def schedule(self) -> None:
        """Schedule the next measurement, unless one is scheduled. Call it after each load."""
        self.running = False  # a hung measurement was abandoned with its engine
        if self._timer is None:
            self._begin_in(self._interval)

    def ended(self) -> None:
        """Schedule the next measurement after one has ended, early or not."""
        self.running = False
        if not self._needed():
            self._interval = min(2 * self._interval, _DAY)
        self._begin_in(self._idle_time if self._needed() else self._interval)

    def close(self) -> None:
        """Begin no more measurements."""
        if self._timer is not None:
            self._timer.cancel()

    def _needed(self) -> bool:
        return self._uses != self._uses_at_begin

    def _begin_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._begin_if_idle)

    def _begin_if_idle(self) -> None:
        self._timer = None
        if not self._ready():
            return  # schedule() follows the next load
        if self._busy() or self._loop.time() < self._last_use + self._idle_time:
            self._begin_in(self._idle_time)
            return
        self.running = True
        self._uses_at_begin = self._uses
        self._begin(self._needed)
