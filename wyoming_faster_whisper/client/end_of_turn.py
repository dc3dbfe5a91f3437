"""Endpointing in the client, by its own VAD. Pure.

WAITING --speech--> SPEAKING --silence--> DONE
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from ..audio.pcm import SAMPLE_RATE
from ..speech.hysteresis import WINDOW, Hysteresis

_THRESHOLD = 0.5  # speech probability from which a window counts as speech
_BEGIN = 3  # windows of speech in a row, 0.1 s: longer than a click or a cough


class SpeakerState(Enum):
    """The state of a turn."""

    WAITING = auto()
    SPEAKING = auto()
    DONE = auto()


class SilenceEndpointer:
    """One speaker's turn: from the first word until the silence after the last.

    Args:
        silence: seconds of silence that end the turn.
    """

    def __init__(self, silence: float) -> None:
        self.state = SpeakerState.WAITING
        self._enough = max(1, round(silence * SAMPLE_RATE / WINDOW))
        self._hysteresis = Hysteresis(_THRESHOLD, self._enough)
        self._run = 0  # windows of speech in a row while WAITING

    def feed(self, probabilities: Iterable[float]) -> SpeakerState:
        """Process more VAD windows and return the state after them.

        Args:
            probabilities: of speech, one per 32 ms window.
        """
        for probability in probabilities:
            self._hysteresis.feed(probability)
            if self.state is SpeakerState.WAITING:
                self._run = self._run + 1 if probability >= _THRESHOLD else 0
                if self._run == _BEGIN:
                    self.state = SpeakerState.SPEAKING
            elif self.state is SpeakerState.SPEAKING and self._hysteresis.silence == self._enough:
                self.state = SpeakerState.DONE
        return self.state
