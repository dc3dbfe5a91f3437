"""Log of rejected clients: one line for many rejections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Why = TypeVar("Why", bound=Hashable)

_INTERVAL = 1.0  # seconds between reports


class Rejections(Generic[Why]):
    """Counts rejections and reports them at most once a second. Lives on the event loop.

    Args:
        report: called with the number of rejections since the last report and their most common
            reason.
    """

    def __init__(self, report: Callable[[int, Why], None]) -> None:
        self._report = report
        self._unreported: Counter[Why] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, why: Why) -> None:
        """Count a rejection. The first one after a quiet second is reported at once."""
        self._unreported[why] += 1
        if self._timer is None:
            self._report_all()

    def stop(self) -> None:
        """Stop reporting."""
        if self._timer is not None:
            self._timer.cancel()

    def _report_all(self) -> None:
        self._timer = None
        if self._unreported:
            [(most, _)] = self._unreported.most_common(1)
            self._report(self._unreported.total(), most)
            self._unreported.clear()
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._report_all)
