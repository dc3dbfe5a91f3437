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


class LiveStream:
    """One stream's chunks and when they came."""

    def __init__(self) -> None:
        self._started: float | None = None  # when the first chunk came
        self._audio_seconds = 0.0  # seconds of sound
        self._usual_lead = 0.0  # seconds that the sound was ahead of the clock, after the burst
        self._not_live = False  # it was not as Home Assistant sends it
        self._now = 0.0
        self._lag = 0.0  # seconds by which the last chunk may have come before

    def chunk(self, pcm: PcmFormat, size: int, now: float, lag: float = 0.0) -> None:
        """Take note of a chunk.

        Args:
            size: bytes.
            now: seconds, monotonic.
            lag: seconds by which we may be late to see it.
        """
        if self._started is None:
            self._started = now
        self._now, self._lag = now, lag
        if pcm != _FORMAT or size != _CHUNK:
            self._not_live = True
        self._audio_seconds += size / _CHUNK / 100
        if self._in_burst:
            self._usual_lead = max(self._usual_lead, self._lead)
        elif self._lead > self._usual_lead + _TOLERANCE:
            self._not_live = True

    @property
    def is_live(self) -> bool:
        """It does, and has for longer than a burst lasts."""
        if self._not_live or self._started is None or self._in_burst:
            return False
        return self._lead + self._lag >= self._usual_lead - _TOLERANCE

    @property
    def _in_burst(self) -> bool:
        """The last chunk may belong to the burst."""
        assert self._started is not None
        return self._now - self._lag - self._started <= _BURST

    @property
    def _lead(self) -> float:
        assert self._started is not None
        return self._audio_seconds - (self._now - self._started)
