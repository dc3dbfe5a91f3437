"""Who was turned away: one line in the log for many."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

_EVERY = 1.0  # seconds


class Tally:
    """Tells why somebody was turned away, at most once a second.

    Args:
        tell: is told how many were since it was told last, and why most of them.
    """

    def __init__(self, tell: Callable[[int, str], None]) -> None:
        self._tell = tell
        self._untold: Counter[str] = Counter()
        self._telling: asyncio.TimerHandle | None = None

    def count(self, why: str) -> None:
        self._untold[why] += 1
        if self._telling is None:
            self._tell_all()

    def stop(self) -> None:
        """Tell no more."""
        if self._telling is not None:
            self._telling.cancel()

    def _tell_all(self) -> None:
        self._telling = None
        if self._untold:
            [(most, _)] = self._untold.most_common(1)
            self._tell(self._untold.total(), most)
            self._untold.clear()
            self._telling = asyncio.get_running_loop().call_later(_EVERY, self._tell_all)
