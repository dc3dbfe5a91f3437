"""Limit of a client's messages per second: a token bucket. Pure."""

from __future__ import annotations


class MessageRate:
    """Token bucket: how long a client has to wait before its next message.

    Args:
        per_second: messages per second on average.
        burst: messages that may come at once.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._free_at = float("-inf")  # seconds; time at which the bucket is full again

    def delay(self, now: float, messages: int = 1) -> float:
        """Count messages, and return the seconds to wait before the next one.

        Args:
            now: seconds, monotonic clock.
            messages: that came at once.
        """
        self._free_at = max(self._free_at, now) + messages / self._per_second
        return max(0.0, self._free_at - now - self._burst / self._per_second)
