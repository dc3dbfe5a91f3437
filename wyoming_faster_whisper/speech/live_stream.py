"""Detects streams that arrive live, as Home Assistant sends them. Pure.

Home Assistant sends 16 kHz, 16 bit, mono in chunks of 10 ms, in real time. It may send a burst
at the start: the audio recorded while it was still detecting the wake word. When the event loop
lagged, a chunk arrived at an unknown time within that lag; the stream then counts as live if any
arrival time within the lag fits.
"""

from __future__ import annotations

from ..audio.pcm import SAMPLE_RATE, PcmFormat

_FORMAT = PcmFormat()
_CHUNK = SAMPLE_RATE // 100 * _FORMAT.frame_bytes  # bytes
_BURST = 1.0  # seconds at the start in which audio may arrive faster than in real time
# How early or late audio may be, compared with its lead after the burst. After a network delay it
# arrives faster than in real time; the stream counts as late until it has caught up.
_TOLERANCE = 0.25  # seconds
_SENT_AT_ONCE = 0.2  # seconds within which a client has sent a recording that it has already


class LiveStream:
    """Arrival times of one stream's chunks. Lives on the event loop."""

    def __init__(self) -> None:
        self._started: float | None = None  # arrival of the first chunk
        self._audio_seconds = 0.0  # seconds of audio
        self._usual_lead = 0.0  # seconds that the audio was ahead of the clock after the burst
        self._not_live = False  # a chunk did not fit what Home Assistant sends
        self._now = 0.0
        self._lag = 0.0  # seconds by which the last chunk may have arrived earlier

    def chunk(
        self, pcm: PcmFormat, size: int, now: float, lag: float = 0.0, count: int = 1
    ) -> None:
        """Record the arrival of a chunk, or of several of equal size.

        Args:
            pcm: its format.
            size: bytes, in all.
            now: seconds, monotonic clock.
            lag: event-loop lag in seconds: the chunk may have arrived that much earlier.
            count: number of chunks.
        """
        if self._started is None:
            self._started = now
        self._now, self._lag = now, lag
        if pcm != _FORMAT or size != count * _CHUNK:
            self._not_live = True
        self._audio_seconds += size / _CHUNK / 100
        if self._in_burst:
            self._usual_lead = max(self._usual_lead, self._lead)
        elif self._lead > self._usual_lead + _TOLERANCE:
            self._not_live = True

    @property
    def is_live(self) -> bool:
        """True if the stream is live; False until the time of the burst is over."""
        if self._not_live or self._started is None or self._in_burst:
            return False
        return self._lead + self._lag >= self._usual_lead - _TOLERANCE

    @property
    def may_be_live(self) -> bool:
        """True if the stream seems live so far, even before the burst is over."""
        if self._not_live or self._started is None:
            return False
        if self._in_burst:
            return self._now - self._started >= _SENT_AT_ONCE
        return self.is_live

    @property
    def _in_burst(self) -> bool:
        """True if the last chunk may belong to the burst."""
        assert self._started is not None
        return self._now - self._lag - self._started <= _BURST

    @property
    def _lead(self) -> float:
        assert self._started is not None
        return self._audio_seconds - (self._now - self._started)
