"""Fair use of the event loop: a client that sends without pause must let others run."""

from __future__ import annotations

import asyncio


class TimeSlice:
    """Time for which one client's task may work without waiting.

    Args:
        seconds: length of a slice. The first begins now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._clock = asyncio.get_running_loop().time
        self.begin()

    def begin(self) -> None:
        """Begin a new slice. Call it after waiting."""
        self._ends = self._clock() + self._seconds

    async def yield_if_over(self) -> None:
        """Let other tasks run if the slice has ended, and begin a new one."""
        if self._clock() >= self._ends:
            await asyncio.sleep(0)
            self.begin()
