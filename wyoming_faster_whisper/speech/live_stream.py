"""Does a stream come as Home Assistant sends it, live? Pure.

10 ms of 16 kHz, 16 bit, mono in every chunk, and as much sound a second as a
second has. What was heard before the wake word was understood may come in a
burst at the start. Where we were late ourselves a chunk has come somewhere in that
time, and the stream is judged by what may have been.
"""

from __future__ import annotations

from ..audio.pcm import SAMPLE_RATE, PcmFormat

_FORMAT = PcmFormat()
_CHUNK = SAMPLE_RATE // 100 * _FORMAT.frame_bytes  # bytes
_BURST = 1.0  # seconds at the start in which sound may come faster
# Sound may be this much early or late for what was usual at the start. A network that held
# it up sends it faster afterwards, and is late until then.
_TOLERANCE = 0.25  # seconds


class Pace:
    """One stream's chunks and when they came."""

    def __init__(self) -> None:
        self._begun: float | None = None  # when the first chunk came
        self._heard = 0.0  # seconds of sound
        self._lead = 0.0  # seconds that the sound was ahead of the clock, after the burst
        self._other = False  # it was not as Home Assistant sends it
        self._now = 0.0
        self._late = 0.0  # seconds by which the last chunk may have come before

    def chunk(self, pcm: PcmFormat, size: int, now: float, late: float = 0.0) -> None:
        """Take note of a chunk.

        Args:
            size: bytes.
            now: seconds, monotonic.
            late: seconds by which we may be late to see it.
        """
        if self._begun is None:
            self._begun = now
        self._now, self._late = now, late
        if pcm != _FORMAT or size != _CHUNK:
            self._other = True
        self._heard += size / _CHUNK / 100
        if self._beginning:
            self._lead = max(self._lead, self._ahead)
        elif self._ahead > self._lead + _TOLERANCE:
            self._other = True

    @property
    def live(self) -> bool:
        """It does, and has for longer than a burst lasts."""
        if self._other or self._begun is None or self._beginning:
            return False
        return self._ahead + self._late >= self._lead - _TOLERANCE

    @property
    def _beginning(self) -> bool:
        """The last chunk may belong to the burst."""
        assert self._begun is not None
        return self._now - self._late - self._begun <= _BURST

    @property
    def _ahead(self) -> float:
        assert self._begun is not None
        return self._heard - (self._now - self._begun)
