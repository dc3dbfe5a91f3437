"""One utterance: what to decode, when to guess, when to answer. Pure.

    LISTENING --pause--> GUESSING --speech--> LISTENING
        |                    |
      stop()               stop()
        v                    v
      ENDED                ENDED

What is decoded are segments. At a pause, every segment of what was said so far
that is not being decoded is begun as a guess. Speech that goes on makes the last
segment longer, so its guess is dropped; the segments before it are closed and
stay. At the end those that are there already are the answer, and only what is
missing is decoded: nothing at all after a pause, the tail of a dictation, all of
what was said without a pause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from .endpoint import WINDOW
from .segment import Segment, SpeechRules, segments


class Phase(Enum):
    """Where an utterance is."""

    LISTENING = auto()
    GUESSING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Decode:
    """Begin to decode a segment. A guess may be dropped before it is used."""

    segment: Segment
    guess: bool


@dataclass(frozen=True, slots=True)
class Drop:
    """Withdraw a guess: more was said."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Answer:
    """Send the texts of these segments, in this order; none means that nobody spoke."""

    segments: tuple[Segment, ...]


Action = Decode | Drop | Answer


class Utterance:
    """Takes facts, returns actions; the caller performs them in order.

    Args:
        pause: windows of silence behind speech after which to guess; 0 = never guess.
    """

    def __init__(self, rules: SpeechRules, *, pause: int) -> None:
        self.phase = Phase.LISTENING
        self._rules = rules
        self._pause = pause
        self._probabilities: list[float] = []
        self._quiet = 0  # windows since the last of speech; 0 before the first too
        self._spoken = False
        self._decoding: dict[tuple[int, int], Segment] = {}  # by their windows of speech

    def __repr__(self) -> str:
        return (
            f"<Utterance {self.phase.name.lower()}, {len(self._probabilities)} windows, "
            f"{len(self._decoding)} segments>"
        )

    def heard(self, probabilities: Iterable[float], *, guess: bool) -> list[Action]:
        """Take more windows.

        Args:
            guess: whether there is time for a guess now.
        """
        actions: list[Action] = []
        for probability in probabilities:
            self._probabilities.append(probability)
            if probability >= self._rules.threshold - (0.15 if self._spoken else 0.0):
                self._spoken, self._quiet = True, 0
                if self.phase is Phase.GUESSING:
                    self.phase = Phase.LISTENING
                    actions += self._drop_open()
            elif self._spoken:
                self._quiet += 1
                if self._quiet == self._pause and guess:
                    self.phase = Phase.GUESSING
                    actions += self._decode(self._now(), guess=True)
        return actions

    def stop(self, samples: int) -> list[Action]:
        """End the utterance.

        Args:
            samples: of the whole recording.
        """
        self.phase = Phase.ENDED
        parts = segments(self._probabilities, self._rules, samples)
        actions = self._decode(parts, guess=False)
        answer = tuple(self._decoding[part.speech] for part in parts)
        return [*actions, Answer(answer)]

    def _now(self) -> list[Segment]:
        samples = len(self._probabilities) * WINDOW
        parts = segments(self._probabilities, self._rules, samples)
        return [part for part in parts if part.sure]

    def _decode(self, parts: list[Segment], *, guess: bool) -> list[Action]:
        wanted = {part.speech for part in parts}
        stale = [part for speech, part in self._decoding.items() if speech not in wanted]
        actions: list[Action] = [self._drop(part) for part in stale]
        for part in parts:
            if part.speech not in self._decoding:
                self._decoding[part.speech] = part
                actions.append(Decode(part, guess))
        return actions

    def _drop_open(self) -> list[Action]:
        """The last segment goes on, so what was begun of it is of no use."""
        if not self._decoding:
            return []
        return [self._drop(self._decoding[max(self._decoding)])]

    def _drop(self, part: Segment) -> Drop:
        del self._decoding[part.speech]
        return Drop(part)
