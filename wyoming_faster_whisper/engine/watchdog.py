"""Watchdog: detects an operation that stopped making progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

_CHECKS = 10  # checks per timeout


class Watchdog:
    """Timer that reports an operation as hung when it makes no progress.

    The watchdog counts periodic checks and reads no clock. Time in which this whole process
    is stopped, frozen or starved of CPU therefore hardly counts. It runs in the event loop.

    Args:
        timeout: seconds without progress after which the operation counts as hung; 0 = never.
        on_hung: called once, in the event loop, when the operation counts as hung.
        progress: returns a value that changes whenever the operation makes progress. The
            default never changes, so the timeout limits the whole operation.
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
        """Stop checking, because the operation has ended."""
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
