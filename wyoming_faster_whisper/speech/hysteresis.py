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


def offset(threshold: float) -> float:
    """Return the probability at which speech goes on that began at a threshold."""
    # Half of a low threshold: at a threshold of 0 or less, speech would never end.
    return max(threshold - _HYSTERESIS, threshold / 2)


class Hysteresis:
    """Speech detection with two thresholds: speech begins at one and goes on at a lower one.

    Args:
        threshold: probability at which speech begins.
        min_silence: windows of silence after which it has to begin anew; at least 1.
    """

    def __init__(self, threshold: float, min_silence: int) -> None:
        self.silence = 0  # windows since the last of speech
        self._onset = threshold
        self._offset = offset(threshold)
        self._min_silence = min_silence
        self._in_speech = False

    def feed(self, probability: float) -> bool:
        """Return whether the next window is speech."""
        if probability >= (self._offset if self._in_speech else self._onset):
            self._in_speech, self.silence = True, 0
            return True
        self.silence += 1
        if self.silence >= self._min_silence:
            self._in_speech = False
        return False

    def reset(self) -> None:
        """Require speech to begin anew."""
        self._in_speech = False


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
    probabilities: Sequence[float], *, threshold: float = 0.5, min_silence: int
) -> list[Stretch]:
    """Find the stretches of speech that are at least min_silence windows apart.

    Args:
        probabilities: of speech, one per window.
        threshold: speech begins at it; see Hysteresis.
        min_silence: windows; at least 1.
    """
    found: list[Stretch] = []
    hysteresis = Hysteresis(threshold, min_silence)
    start: int | None = None
    last = 0  # last window of speech
    for at, probability in enumerate(probabilities):
        if hysteresis.feed(probability):
            start = at if start is None else start
            last = at
        elif start is not None and hysteresis.silence >= min_silence:
            found.append(Stretch(start, last + 1))
            start = None
    if start is not None:
        found.append(Stretch(start, last + 1))
    return found


def join(
    speech: Sequence[Stretch], *, longest: int, closing_silence: Callable[[int], float]
) -> list[Stretch]:
    """Join neighbouring stretches that no long silence separates, up to longest windows.

    A single stretch that is longer has no pause to cut at and is cut into pieces of that length.

    Args:
        closing_silence: takes the length of a stretch and returns the length of the silence that
            separates it from the next one, both in windows.
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
