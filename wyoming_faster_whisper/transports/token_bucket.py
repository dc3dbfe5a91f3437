"""Token bucket: limits what a client sends per second. Pure."""

from __future__ import annotations


class TokenBucket:
    """Limits an amount per second; a client is delayed, or what it sends is refused.

    Args:
        per_second: amount that may come per second on average.
        at_once: amount that may come at once.
    """

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._full_at = float("-inf")  # seconds; time at which the bucket is full again

    def delay(self, amount: float, now: float) -> float:
        """Count an amount, and return the seconds to wait before the next one.

        Args:
            now: seconds, monotonic clock.
        """
        self._full_at = self._after(amount, now)
        return max(0.0, self._full_at - now - self._at_once / self._per_second)

    def take(self, amount: float, now: float) -> bool:
        """Count an amount; return whether it is within the limit. What is not is not counted.

        Args:
            now: seconds, monotonic clock.
        """
        full_at = self._after(amount, now)
        if full_at - now > self._at_once / self._per_second:
            return False
        self._full_at = full_at
        return True

    def _after(self, amount: float, now: float) -> float:
        """Return the time at which the bucket will be full after an amount."""
        return max(self._full_at, now) + amount / self._per_second
