"""Notices what should go on and does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

_LOOKS = 10  # until patience is at an end


class Watch:
    """Looks now and then whether something comes any further.

    It counts its looks and reads no clock: the time in which this process stood still
    itself (stopped, frozen, starved) is nobody else's fault, and hardly counts.

    Args:
        patience: seconds without progress; 0 = for ever.
        stuck: called, once, when they have passed.
        progress: a value that changes with it.
    """

    def __init__(
        self,
        patience: float,
        stuck: Callable[[], None],
        progress: Callable[[], Hashable] = lambda: None,
    ) -> None:
        self._every = patience / _LOOKS  # seconds
        self._stuck = stuck
        self._progress = progress
        self._seen = progress() if patience else None
        self._left = _LOOKS
        self._next: asyncio.TimerHandle | None = None
        if patience:
            self._wait()

    def stop(self) -> None:
        """It has come to its end."""
        if self._next is not None:
            self._next.cancel()

    def _wait(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._every, self._look)

    def _look(self) -> None:
        seen = self._progress()
        if seen != self._seen:
            self._seen, self._left = seen, _LOOKS
        else:
            self._left -= 1
        if self._left:
            self._wait()
        else:
            self._stuck()
