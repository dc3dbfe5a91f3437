"""Where a long recording is cut before it is sent: at pauses. Pure but for the VAD it is given.

A Wyoming transcript has no times, so the only honest ones are those of what was
sent: every part is sent by itself, and its text belongs to the speech in it. Parts
without speech are not sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..audio.pcm import SAMPLE_RATE, PcmFormat, decode_pcm
from ..speech.hysteresis import WINDOW, Probabilities, join, stretches
from ..speech.vad import SpeechStream

CAPTION_LONGEST = 12.0
"""Seconds of one caption. Subtitles stay for 7 at most (Netflix's style guide); a part that
short would cut sentences, and Whisper hears less well without the rest of the sentence."""

WHOLE = 240.0
"""Seconds of sound that are sent as one utterance. Servers limit an utterance; ours to 600."""

_SLICE = 512 * WINDOW  # samples that the VAD judges at once, 16 s
_SECONDS = WINDOW / SAMPLE_RATE  # of one window of the VAD
_SHORTEST_PAUSE = 4  # windows of silence, 0.13 s: the shortest at which speech is cut at all
_PAD = 12  # windows, 0.4 s, kept before and after what is said
_LOW_THRESHOLD = 0.2  # probability of speech that whispers reach, and a silent room does not
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Cut:
    """How to cut."""

    pause: float | None = None  # seconds; None = at no pause for its own sake
    longest: float = WHOLE  # seconds of a part

    def leaves_whole(self, seconds: float) -> bool:
        return self.pause is None and seconds <= self.longest


@dataclass(frozen=True, slots=True)
class Part:
    """What is sent by itself."""

    data: bytes  # 16 kHz, 16-bit, mono
    start: float  # seconds at which the speech in it begins, in the recording
    end: float


def detect_speech(data: bytes, stream: SpeechStream) -> Iterator[Probabilities]:
    """Probabilities of speech, window by window; the last is filled with zeros. Blocking."""
    step = 2 * _SLICE
    for at in range(0, len(data), step):
        samples = decode_pcm(data[at : at + step], PcmFormat())
        yield stream.feed(np.pad(samples, (0, -len(samples) % WINDOW)))


def parts(data: bytes, probabilities: Sequence[float], cut: Cut) -> list[Part]:
    """Cut a recording; nothing where nobody speaks.

    Args:
        data: 16 kHz, 16-bit, mono.
        probabilities: of speech, one per window.
    """
    spoken = stretches(probabilities, min_silence=_SHORTEST_PAUSE)
    if not spoken:  # a whisper, perhaps; the server shall judge
        spoken = stretches(probabilities, threshold=_LOW_THRESHOLD, min_silence=_SHORTEST_PAUSE)
    gap = _NEVER if cut.pause is None else cut.pause / _SECONDS
    joined = join(
        spoken,
        longest=max(1, round(cut.longest / _SECONDS) - 2 * _PAD),
        closing_silence=lambda _: gap,
    )
    seconds = len(data) / 2 / SAMPLE_RATE
    found = []
    for at, part in enumerate(joined):
        # Neighbours share the silence between them: what both heard would be said twice.
        before = (part.start - joined[at - 1].end) // 2 if at else _PAD
        after = (joined[at + 1].start - part.end) // 2 if joined[at + 1 :] else _PAD
        first = max(0, part.start - min(_PAD, before))
        last = part.end + min(_PAD, after)
        found.append(
            Part(
                data[2 * WINDOW * first : 2 * WINDOW * last],
                part.start * _SECONDS,
                min(part.end * _SECONDS, seconds),
            )
        )
    return found
