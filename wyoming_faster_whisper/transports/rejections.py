"""Who was turned away: one line in the log for many."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

_INTERVAL = 1.0  # seconds


class Rejections:
    """Tells why somebody was turned away, at most once a second.

    Args:
        report: is told how many were since it was told last, and why most of them.
    """

    def __init__(self, report: Callable[[int, str], None]) -> None:
        self._report = report
        self._unreported: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, why: str) -> None:
        self._unreported[why] += 1
        if self._timer is None:
            self._report_all()

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _report_all(self) -> None:
        self._timer = None
        if self._unreported:
            [(most, _)] = self._unreported.most_common(1)
            self._report(self._unreported.total(), most)
            self._unreported.clear()
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._report_all)
