"""Turns speech probabilities into stretches of speech, with hysteresis. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.pcm import SAMPLE_RATE

WINDOW = 512
"""Samples per VAD window, 32 ms: the only size that Silero accepts at 16 kHz."""

Probabilities = npt.NDArray[np.float32]
"""Speech probabilities, one per window, shape (n,), 0 to 1."""

_HYSTERESIS = 0.15  # Silero's own value (snakers4/silero-vad: utils_vad.py, neg_threshold)


def offset_threshold(threshold: float) -> float:
    """Return the probability below which speech ends, given the threshold at which it begins.

    For a low threshold it is half of it: at 0 speech would never end.
    """
    return max(threshold - _HYSTERESIS, threshold / 2)


def windows(seconds: float) -> int:
    """Convert seconds to VAD windows, rounded to the nearest."""
    return round(seconds * SAMPLE_RATE / WINDOW)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech from window start to window end (exclusive)."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def stretches(
    probabilities: Sequence[float], *, threshold: float = 0.5, min_silence: int = 10
) -> list[Stretch]:
    """Find the stretches of speech that are at least min_silence windows apart.

    Args:
        probabilities: speech probability of each window.
        threshold: probability at which speech begins; it ends below offset_threshold().
        min_silence: windows; at least 1.
    """
    found: list[Stretch] = []
    start: int | None = None
    last = 0  # last window of speech
    for at, probability in enumerate(probabilities):
        if probability >= (threshold if start is None else offset_threshold(threshold)):
            start = at if start is None else start
            last = at
        elif start is not None and at - last >= min_silence:
            found.append(Stretch(start, last + 1))
            start = None
    if start is not None:
        found.append(Stretch(start, last + 1))
    return found


def join(
    speech: Sequence[Stretch], *, longest: int, closing_silence: Callable[[int], float]
) -> list[Stretch]:
    """Join neighbouring stretches that no long silence separates, up to longest windows.

    A stretch that is longer than that by itself is cut, for want of a pause.

    Args:
        closing_silence: for a stretch of so many windows, how many windows of silence after it
            keep the next one apart.
    """
    found: list[Stretch] = []
    for stretch in speech:
        last = found[-1] if found else None
        near = last is not None and stretch.start - last.end < closing_silence(len(last))
        if last and near and stretch.end - last.start <= longest:
            found[-1] = Stretch(last.start, stretch.end)
            continue
        found += [
            Stretch(start, min(stretch.end, start + longest))
            for start in range(stretch.start, stretch.end, longest)
        ]
    return found
