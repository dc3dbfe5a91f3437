"""Does what was said before a silence sound finished? Pure.

No list of words, so no language: the decoder knows which word can end a sentence.
It puts a full stop behind one that does, and breaks the text off where more should
come. And a voice falls at the end of a sentence, while one that is only
interrupted is as loud as before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..audio import SAMPLE_RATE, Samples
from .ending import Reading

_FRAME = SAMPLE_RATE // 100  # samples
_BROKEN = ("...", "…", "-", ",")


class Closing(Protocol):
    """What the decoder thought of the end of a text: probabilities, as natural logs."""

    @property
    def stop(self) -> float: ...
    @property
    def cut(self) -> float: ...


SIGNS = ("stop", "cut", "last", "before")
"""What signs() returns, by name."""

# A logistic regression of them, as "python -m bench.endings --recordings DIR" prints it: over
# decodes with base of 165 whole commands and 320 cut ones; three of four are recorded orders by
# many speakers, the others commands of the house by six voices of espeak-ng. The mean
# log-probability, the mark that the beam wrote and what would follow it told no more.
_BASE = -8.176
_WEIGHTS = (0.917, -1.576, -0.103, -0.050)  # per natural log, and per dB
_FLOOR = -12.0  # natural log; less likely is all the same

# With speakers left out in turn, 52 of 100 whole ones and 1 of what was cut are over 2.24, and 65
# and 2 over 1.67; 95 and 30 are over the other, so that few wait longest: much of what was cut is
# a sentence up to there, and a pause longer than the wait for it ends that (bench.turns).
FINISHED = 2.0
"""odds() of what reads as finished, at least."""
UNSURE = -1.2
"""The same of what may be."""


def reading(text: str, closing: Closing | None, loudness: tuple[float, float]) -> Reading:
    """Judge a decoded text.

    Args:
        closing: None where the engine does not say; no text is judged finished then.
        loudness: as fall() says.
    """
    if not text:
        return Reading.NOTHING
    if closing is None:
        return Reading.UNFINISHED if text.endswith(_BROKEN) else Reading.UNSURE
    found = odds(closing, loudness)
    if found >= FINISHED:
        return Reading.FINISHED
    return Reading.UNSURE if found >= UNSURE else Reading.UNFINISHED


def odds(closing: Closing, loudness: tuple[float, float]) -> float:
    """Whether a text is finished, by the regression: log-odds, 0 = as likely as not."""
    return _BASE + float(np.dot(_WEIGHTS, signs(closing, loudness)))


def signs(closing: Closing, loudness: tuple[float, float]) -> tuple[float, ...]:
    """What tells a finished sentence, each as a number, in the order of SIGNS."""
    return max(_FLOOR, closing.stop), max(_FLOOR, closing.cut), *loudness


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
