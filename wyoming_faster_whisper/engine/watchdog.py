"""Notices what should go on and does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

_CHECKS = 10  # until patience is at an end


class Watchdog:
    """Looks now and then whether something comes any further.

    It counts its looks and reads no clock: the time in which this process stood still
    itself (stopped, frozen, starved) is nobody else's fault, and hardly counts.

    Args:
        timeout: seconds without progress; 0 = for ever.
        on_hung: called, once, when they have passed.
        progress: a value that changes with it.
    """

    def __init__(
        self,
        timeout: float,
        on_hung: Callable[[], None],
        progress: Callable[[], Hashable] = lambda: None,
    ) -> None:
        self._interval = timeout / _CHECKS  # seconds
        self._on_hung = on_hung
        self._progress = progress
        self._seen = progress() if timeout else None
        self._left = _CHECKS
        self._next: asyncio.TimerHandle | None = None
        if timeout:
            self._schedule()

    def stop(self) -> None:
        """It has come to its end."""
        if self._next is not None:
            self._next.cancel()

    def _schedule(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._interval, self._check)

    def _check(self) -> None:
        seen = self._progress()
        if seen != self._seen:
            self._seen, self._left = seen, _CHECKS
        else:
            self._left -= 1
        if self._left:
            self._schedule()
        else:
            self._on_hung()
