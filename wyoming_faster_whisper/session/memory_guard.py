"""Refuses work before the process has used up its memory (--max-memory)."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import Overloaded
from ..hardware import release_memory, resident_memory

# Of the limit: what is kept for the work that has begun. A decode with base takes 60 MB.
_RESERVE = 0.1
_LEAST_RESERVE = 64_000_000  # bytes

_MEASURED_FOR = 0.05  # seconds for which a measurement counts
_TRIMMED_FOR = 1.0  # seconds until freed memory is returned to the system again


class MemoryGuard:
    """Compares the memory of the process with its limit. Lives on the event loop.

    New work is refused while less than the reserve is free, and audio of work that has begun
    while less than half of the reserve is.

    Args:
        most: the limit in bytes; 0 = there is none.
        resident: returns the resident memory of the process in bytes.
        trim: returns freed memory to the system.
        clock: returns seconds, monotonic.
    """

    def __init__(
        self,
        most: int = 0,
        *,
        resident: Callable[[], int] = resident_memory,
        trim: Callable[[], None] = release_memory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._reserve = max(_LEAST_RESERVE, round(most * _RESERVE))
        self._resident = resident
        self._trim = trim
        self._clock = clock
        self._used = 0  # bytes
        self._measured = self._trimmed = float("-inf")  # times

    def check_new(self) -> None:
        """Check that there is room for more work.

        Raises:
            Overloaded: there is no room.
        """
        self._check(self._reserve)

    def check_audio(self) -> None:
        """Check that there is room for more audio of work that has begun.

        Raises:
            Overloaded: there is no room.
        """
        self._check(self._reserve // 2)

    def _check(self, reserve: int) -> None:
        if not self._most:
            return
        now = self._clock()
        if now - self._measured >= _MEASURED_FOR:
            self._measure(now)
        if self._used > self._most - reserve and now - self._trimmed >= _TRIMMED_FOR:
            self._trimmed = now
            self._trim()
            self._measure(now)
        if self._used > self._most - reserve:
            raise Overloaded(
                f"the server uses {self._used / 1e6:.0f} MB of memory and may use "
                f"{self._most / 1e6:.0f}; try again later"
            )

    def _measure(self, now: float) -> None:
        self._used, self._measured = self._resident(), now
