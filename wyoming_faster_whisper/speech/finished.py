"""Does what was said before a silence sound finished? Pure.

No list of words, so no language: the decoder knows which word can end a sentence.
It writes a mark behind one that does, and hesitates, or breaks the text off, where
more should come. And a voice falls at the end of a sentence, while one that is only
interrupted is as loud as before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..audio import SAMPLE_RATE, Samples
from .ending import Reading

_FRAME = SAMPLE_RATE // 100  # samples


class Closing(Protocol):
    """What the decoder thought of the end of a text: probabilities, as natural logs."""

    @property
    def stop(self) -> float: ...
    @property
    def cut(self) -> float: ...
    @property
    def after(self) -> float: ...


# A logistic regression over 882 decodes with base: 120 recorded orders by many speakers and 40
# commands of the house by two voices of espeak-ng, whole and cut between two of their words.
_BASE = -6.72
_MARK = 1.55  # the text ends with a mark that ends a sentence
_STOP = 0.57  # per unit of the decoder's log-probability of one
_CUT = -1.33  # and of one that breaks the text off
_AFTER = 17.55  # and of nothing behind it
_LOGPROB = 0.58  # per unit of the text's mean log-probability
_LAST = -0.104  # per dB of the last 100 ms
_BEFORE = -0.049  # and of the 100 ms before
_LIKELY = -0.7  # natural log: one half
_FLOOR = -12.0  # natural log; less likely is all the same

# With speakers left out in turn: 1 in 100 of what was cut, and half of what was whole, is over
# the first; 5 in 100 and four of five over the second.
_FINISHED = 2.8
_UNSURE = 1.3


def reading(
    text: str, logprob: float, closing: Closing | None, loudness: tuple[float, float]
) -> Reading:
    """Judge a decoded text.

    Args:
        logprob: mean over its tokens, natural log.
        closing: None where the engine does not say; no text is judged finished then.
        loudness: as fall() says.
    """
    if not text:
        return Reading.NOTHING
    broken = text.endswith(("...", "…", "-", ","))
    if closing is None:
        return Reading.UNFINISHED if broken else Reading.UNSURE
    # A beam may write a mark where the likeliest next word is another.
    marked = text.endswith((".", "?", "!", "。", "？", "！")) and closing.stop > _LIKELY
    sign = (
        _BASE
        + _MARK * (marked and not broken)
        + _STOP * max(_FLOOR, closing.stop)
        + _CUT * max(_FLOOR, closing.cut)
        + _AFTER * closing.after
        + _LOGPROB * logprob
        + _LAST * loudness[0]
        + _BEFORE * loudness[1]
    )
    if sign >= _FINISHED:
        return Reading.FINISHED
    return Reading.UNSURE if sign >= _UNSURE else Reading.UNFINISHED


def fall(samples: Samples) -> tuple[float, float]:
    """How loud the last 100 ms of speech are, and the 100 ms before them.

    Args:
        samples: of speech, and the silence behind it.

    Returns:
        dB relative to the louder parts of the speech, -40 to 0.
    """
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    if len(frames) < 20:
        return 0.0, 0.0
    loudness = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-9)
    room, voice = np.percentile(loudness, [10, 95])
    # 10 dB over the room, but not so high that a soft last consonant is lost.
    threshold = max(min(room + 10, voice - 20), voice - 40)
    end = int(np.flatnonzero(loudness > threshold)[-1]) + 1
    spoken = loudness[:end] - np.percentile(loudness[:end], 90)
    last, before = spoken[-10:], spoken[-20:-10]
    return _level(last), _level(before)


def _level(loudness: Samples) -> float:
    return float(np.clip(loudness.mean(), -40, 0)) if len(loudness) else 0.0
