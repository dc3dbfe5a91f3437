"""From probabilities of speech to stretches of speech. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.pcm import SAMPLE_RATE

WINDOW = 512
"""Samples that are judged at once, 32 ms: the only window that Silero takes at 16 kHz."""

Probabilities = npt.NDArray[np.float32]
"""Of speech, one per window, shape (n,), 0 to 1."""

_HYSTERESIS = 0.15  # Silero's own (snakers4/silero-vad: utils_vad.py, neg_threshold)


def offset_threshold(threshold: float) -> float:
    """The probability under which speech that began at a threshold ends.

    Half a low threshold, for at nothing speech would never end.
    """
    return max(threshold - _HYSTERESIS, threshold / 2)


def windows(seconds: float) -> int:
    """Seconds as whole windows."""
    return round(seconds * SAMPLE_RATE / WINDOW)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows start to end (exclusive) in which somebody speaks."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def stretches(
    probabilities: Sequence[float], *, threshold: float = 0.5, min_silence: int = 10
) -> list[Stretch]:
    """Find the stretches of speech, parted by at least min_silence quiet windows.

    Args:
        probabilities: of speech, one per window.
        threshold: speech begins at it, and ends as offset_threshold() says.
        min_silence: windows; at least 1.
    """
    found: list[Stretch] = []
    start: int | None = None
    last = 0  # the last window of speech
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
