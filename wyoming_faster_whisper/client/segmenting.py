"""Cuts a long recording at pauses before it is sent. Pure, apart from the VAD passed in.

A Wyoming transcript has no times, so the only reliable times are those of the audio that was
sent: each part is sent separately, and its text is that of the speech in it. Parts without
speech are not sent.
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
"""Maximum seconds per caption. Netflix's style guide shows subtitles for at most 7 s; parts that
short would cut sentences, and Whisper is less accurate without the rest of the sentence."""

WHOLE = 240.0
"""Maximum seconds sent as one utterance. Servers limit its length; this project's to 600 s."""

_SLICE = 512 * WINDOW  # samples per call of the VAD, 16 s
_SECONDS = WINDOW / SAMPLE_RATE  # per VAD window
_SHORTEST_PAUSE = 4  # windows of silence, 0.13 s: the shortest pause at which speech is ever cut
_PAD = 12  # windows, 0.4 s, kept before and after speech
_LOW_THRESHOLD = 0.2  # speech probability that whispering reaches and a silent room does not
_NEVER = math.inf


@dataclass(frozen=True, slots=True)
class Cut:
    """Rules for cutting a recording."""

    pause: float | None = None  # seconds of silence to cut at; None = cut long audio only
    longest: float = WHOLE  # maximum seconds per part

    def leaves_whole(self, seconds: float) -> bool:
        """Return whether audio of this length is sent in one piece."""
        return self.pause is None and seconds <= self.longest


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a recording that is sent separately."""

    data: bytes  # 16 kHz, 16-bit, mono
    start: float  # where its speech begins, in seconds from the start of the recording
    end: float  # where its speech ends, likewise


def detect_speech(data: bytes, stream: SpeechStream) -> Iterator[Probabilities]:
    """Yield the speech probabilities of all windows, 16 s at a time. Blocking.

    The last window is padded with zeros.

    Args:
        data: 16 kHz, 16-bit, mono.
    """
    step = 2 * _SLICE
    for at in range(0, len(data), step):
        samples = decode_pcm(data[at : at + step], PcmFormat())
        yield stream.feed(np.pad(samples, (0, -len(samples) % WINDOW)))


def parts(data: bytes, probabilities: Sequence[float], cut: Cut) -> list[Part]:
    """Cut a recording into parts. A recording without speech has none.

    Args:
        data: 16 kHz, 16-bit, mono.
        probabilities: of speech, one per window.
    """
    spoken = stretches(probabilities, min_silence=_SHORTEST_PAUSE)
    if not spoken:  # perhaps whispered: let the server decide
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
        # Neighbours divide the silence between them: overlapping audio could be recognised twice.
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
