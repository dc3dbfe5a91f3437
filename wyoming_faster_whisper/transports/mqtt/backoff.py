"""Delays before new connections to the broker. Pure."""

from __future__ import annotations

from collections.abc import Callable

_FIRST = 0.5  # seconds
_LONGEST = 30.0  # seconds
_STABLE = 20.0  # seconds after which a connection counts as stable, so that the delays start over


class Backoff:
    """Exponential back-off with jitter: each delay is 50 to 100% of twice the one before.

    After a restart of the broker all of its clients come back. With jitter they do not all come
    at the same moment.

    Args:
        random: returns a random number from 0 to 1.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._delay = _FIRST

    def delay(self, lasted: float | None) -> float:
        """Return the seconds to wait before the next connection.

        Args:
            lasted: seconds for which the last connection was usable; None = it never was.
        """
        if lasted is not None and lasted >= _STABLE:
            self._delay = _FIRST
        delay = self._delay * (0.5 + 0.5 * self._random())
        self._delay = min(2 * self._delay, _LONGEST)
        return delay
