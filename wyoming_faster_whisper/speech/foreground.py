"""Tells the speaker from a quieter voice in the background, such as a television. Pure.

The VAD takes any voice for speech, so a television would hold a turn open. A voice that stays
much quieter than the speaker for most of a second is not the speaker's: people fade within a
sentence, but do not speak on like that.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import takewhile

import numpy as np

from ..audio.pcm import Samples
from .hysteresis import WINDOW, Probabilities, windows

# Smallest margin at which no recording of one speaker is taken for two: 439 in English, German,
# Spanish, French, Italian and Russian (orders of speech-to-intent-benchmark, prompts, read
# sentences). With 8 dB one loses its end (python -m bench.television --levels, 2026-11-30; any
# model). The table is in docs/performance-notes.md.
MARGIN = 9.0
"""Decibels by which another voice is quieter than the speaker."""
SUSTAINED = windows(0.83)
"""Windows that another voice lasts before it is noticed."""

# Windows, 0.5 s: the level that the speaker reached for so long in all. A clap or a single loud
# word is shorter.
_LOUD = 16
_LEAST_SPEECH = windows(1.2)  # of the speaker before another voice may be quieter
# Windows, 0.26 s: a pause after which less speech is forgotten. A wake word is often louder than
# the order after it: of 120 orders after one that is 10 dB louder, 24 would be taken for a
# quieter voice without this, and none is with it.
_PAUSE = 8
_VOICED = 0.75  # share of the windows in which the other voice is heard, its pauses left out
_LONGEST = windows(5.0)  # of which a voice is taken back when it is noticed
_NOTHING = 1e-10  # power of digital silence, -100 dBFS


class Foreground:
    """Follows the level of one utterance, window by window.

    Args:
        threshold: VAD probability from which a window holds speech.
        margin: as MARGIN.
        sustained: as SUSTAINED.
    """

    def __init__(
        self, *, threshold: float = 0.5, margin: float = MARGIN, sustained: int = SUSTAINED
    ) -> None:
        self.behind = False  # the last windows were those of a quieter voice
        self._threshold = threshold
        self._margin, self._sustained = margin, sustained
        self._earlier: deque[tuple[float, bool]] = deque(maxlen=_LONGEST)  # of those before
        self._speech = 0  # windows of speech before the recent ones
        self._silence = 0  # windows without speech before the recent ones
        self._recent: deque[tuple[float, bool]] = deque()  # level and speech of these windows
        self._loudest: list[float] = []  # heap of the speaker's loudest windows before them

    def feed(self, samples: Samples, probabilities: Probabilities) -> tuple[Probabilities, int]:
        """Take the next windows.

        Args:
            samples: float32, shape (n,); the last window may be incomplete.
            probabilities: of speech, one per window.

        Returns:
            The probabilities, 0 for those of a quieter voice; and, if it has just been noticed,
            how many windows it has lasted, else 0.
        """
        count = len(probabilities)
        found, late = probabilities.copy(), 0
        for at, level in enumerate(window_levels(samples, count)):
            noticed = self.behind
            if self.take(level, speech=bool(probabilities[at] >= self._threshold)):
                found[at] = 0.0
                if not noticed:
                    late = self._lasted() + count - 1 - at
        return found, late if self.behind else 0

    def take(self, level: float, *, speech: bool) -> bool:
        """Take the next window, and return whether it belongs to a quieter voice.

        Args:
            level: its mean power in dB, relative to anything.
            speech: whether the VAD found speech in it.
        """
        self._recent.append((level, speech))
        if len(self._recent) > self._sustained:
            oldest = self._recent.popleft()
            if not self.behind:  # nothing about the speaker is to be learned from another voice
                self._learn(*oldest)
        quiet = len(self._recent) == self._sustained and all(
            each < self._limit for each, _ in self._recent
        )
        # Once it is noticed, the other voice may pause.
        self.behind = quiet and (self.behind or self._is_another_voice())
        return self.behind

    @property
    def _limit(self) -> float:
        """Level below which a window is quieter than the speaker, in dB."""
        known = len(self._loudest) == _LOUD
        return self._loudest[0] - self._margin if known else -math.inf

    def _is_another_voice(self) -> bool:
        """Return whether the recent windows are a voice, and the speaker spoke before it."""
        if not (self._recent[0][1] and self._recent[-1][1]):
            return False
        voiced = sum(speech for _, speech in self._recent)
        before = self._speech - sum(speech for _, speech in self._quiet_before())
        return voiced >= _VOICED * self._sustained and before >= _LEAST_SPEECH

    def _lasted(self) -> int:
        """Return for how many windows it has been quieter than the speaker."""
        return len(self._recent) + len(self._quiet_before())

    def _quiet_before(self) -> list[tuple[float, bool]]:
        """Return the windows right before the recent ones that are quieter than the speaker."""
        limit = self._limit
        return list(takewhile(lambda each: each[0] < limit, reversed(self._earlier)))

    def _learn(self, level: float, speech: bool) -> None:
        self._silence = 0 if speech else self._silence + 1
        if self._silence >= _PAUSE and self._speech < _LEAST_SPEECH:
            self._loudest.clear()
            self._earlier.clear()
            self._speech = 0
        self._earlier.append((level, speech))
        self._speech += speech
        if speech:
            heapq.heappush(self._loudest, level)
            if len(self._loudest) > _LOUD:
                heapq.heappop(self._loudest)


def window_levels(samples: Samples, count: int) -> list[float]:
    """Return the level of each VAD window in dBFS.

    Args:
        samples: float32, shape (n,); the last windows may be incomplete.
        count: number of windows.
    """
    whole = np.zeros(count * WINDOW, np.float32)
    whole[: len(samples)] = samples[: len(whole)]
    power = np.mean(whole.reshape(count, WINDOW) ** 2, axis=1)
    levels: list[float] = (10 * np.log10(power + _NOTHING)).tolist()
    return levels
