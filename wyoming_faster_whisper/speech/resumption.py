"""Tells a speaker who resumes after a pause from noise that the VAD is less sure of. Pure.

Clatter in a kitchen reaches VAD probabilities of 0.5 to 0.8, and would hold a turn open. A voice
has the same probability after a pause as before it.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from .hysteresis import Probabilities, offset, windows

# Least probability of resumed speech, as a share of what the speaker's own windows reach. Of
# 1,160 stretches of speech after a pause in six languages, clean, in noise and from afar, none
# stays below it, and 11 are noticed more than 0.16 s late (python -m
# bench.calibration.resumption, 2026-12-01; any model). docs/performance-notes.md has the table.
SHARE = 0.8
_QUANTILE = 0.75  # of the speaker's windows: their usual probability, without soft consonants
_PAUSE = windows(0.13)  # after a shorter silence speech goes on
_LEAST_SPEECH = windows(1.0)  # of the speaker, before anything can be compared with it
_BELOW = 0.9  # of the probability at which speech goes on: possible speech
_REMEMBERED = windows(5.0)  # of the speaker's windows: the distance to the microphone may change


class Resumption:
    """Lowers the VAD probabilities of noise after a pause of the speaker.

    Args:
        threshold: VAD probability from which a window holds speech.
        share: as SHARE.
    """

    def __init__(self, *, threshold: float = 0.5, share: float = SHARE) -> None:
        self._threshold, self._offset, self._share = threshold, offset(threshold), share
        self._possible = _BELOW * self._offset
        self._speech: deque[float] = deque(maxlen=_REMEMBERED)  # of the speaker's windows
        self._silence = 0  # windows without speech since the last of them

    def feed(self, probabilities: Probabilities) -> Probabilities:
        """Take the next windows, and return their probabilities.

        Those of noise after a pause are lowered to possible speech: the turn neither goes on
        because of it, nor ends before the VAD is certain.
        """
        kept = [each if self._take(each) else self._possible for each in probabilities.tolist()]
        return np.array(kept, np.float32)

    def _take(self, probability: float) -> bool:
        if probability < self._threshold:
            self._silence += probability < self._offset
            return True
        if self._silence >= _PAUSE and len(self._speech) >= _LEAST_SPEECH:
            usual = float(np.quantile(self._speech, _QUANTILE))
            if probability < self._share * usual:
                return False
        self._silence = 0
        self._speech.append(probability)
        return True
