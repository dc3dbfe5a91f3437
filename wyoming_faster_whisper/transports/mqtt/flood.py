"""Limits of what one site may send. Pure."""

from __future__ import annotations

from ..token_bucket import TokenBucket

# Four times real time, with 16 ms of audio a message, and with 48 kHz, 16 bit, stereo.
_MESSAGES = 250  # per second on average
_MESSAGES_AT_ONCE = 2_000
_BYTES = 800_000  # per second on average
_BYTES_AT_ONCE = 4_000_000  # two minutes at 16 kHz
_CONTROLS = 10  # per second on average
_CONTROLS_AT_ONCE = 100

MUTED_SECONDS = 10.0
"""Seconds for which a site that floods is not heard."""


class SiteRate:
    """Recent rate of a site's messages, and the time until which it is muted."""

    def __init__(self) -> None:
        self.muted_until = float("-inf")  # seconds, monotonic clock
        self._messages = TokenBucket(_MESSAGES, _MESSAGES_AT_ONCE)
        self._bytes = TokenBucket(_BYTES, _BYTES_AT_ONCE)
        self._controls = TokenBucket(_CONTROLS, _CONTROLS_AT_ONCE)

    def frame(self, size: int, now: float) -> bool:
        """Count a frame of audio; return whether the limits allow it. If not, the site is muted.

        Args:
            size: bytes.
            now: seconds, monotonic clock.
        """
        if self._messages.take(1, now) and self._bytes.take(size, now):
            return True
        self.muted_until = now + MUTED_SECONDS
        return False

    def control(self, now: float) -> bool:
        """Count a control message; return whether the limit allows it.

        Args:
            now: seconds, monotonic clock.
        """
        return self._controls.take(1, now)

    def muted(self, now: float) -> bool:
        return now < self.muted_until
