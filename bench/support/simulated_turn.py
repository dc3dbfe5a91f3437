"""One turn as the server runs it, with a simulated clock.

The server's own state machine takes the VAD windows of a sound, and the real model decodes what
it asks for. The time of a decode is given, so that every run prints the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.speech.endpointing import EndOfTurn, Endpointing, TurnRules
from wyoming_faster_whisper.speech.hysteresis import WINDOW, Probabilities
from wyoming_faster_whisper.speech.prosody import measure_prosody
from wyoming_faster_whisper.speech.resumption import Resumption
from wyoming_faster_whisper.speech.segmenter import Segment
from wyoming_faster_whisper.speech.turn_classifier import classify_text
from wyoming_faster_whisper.speech.utterance import (
    Action,
    Decode,
    Drop,
    EndTurn,
    Utterance,
    UtteranceRules,
)

from .clips import SAMPLE_RATE, Samples


class Decoder(Protocol):
    """Decodes audio as the server decodes a guess."""

    def __call__(self, samples: Samples, lead: int, quick: bool) -> Transcript:
        """Decode.

        Args:
            samples: the audio.
            lead: Segment.leading_silence.
            quick: first pass only.
        """
        ...


def guesses(pipeline: WhisperPipeline, language: str = "en") -> Decoder:
    """Make a function that decodes audio as the server decodes a guess."""

    # Cache: runs with another --decode decode mostly the same audio.
    known: dict[tuple[bytes, bool], Transcript] = {}

    def decode(samples: Samples, lead: int, quick: bool) -> Transcript:
        key = hashlib.sha256(samples.tobytes()).digest(), quick
        if key not in known:
            job = Job(
                samples,
                DecodeOptions(language=language),
                kind=DecodeKind.GUESS,
                quick=quick,
                score_end=True,
                leading_silence=lead,
            )
            [known[key]] = pipeline.decode([job], BEAM)
        return known[key]

    return decode


class SimulatedTurn:
    """One turn as the server runs it, with a simulated clock.

    Args:
        probabilities: of speech, by VAD window of the sound.
        seconds: time of one pass of the model; a second pass takes the same again.
        endpointing: when the server ends a turn; default: as with `auto`.
        rules: when a guess begins; default: as in the server.
    """

    def __init__(
        self,
        sound: Samples,
        probabilities: Probabilities,
        decode: Decoder,
        seconds: float,
        *,
        endpointing: Endpointing | None = None,
        rules: UtteranceRules | None = None,
    ) -> None:
        self.decodes = 0
        self.end_of_turn: EndOfTurn | None = None  # of the last decode
        self._sound = sound
        self._probabilities = Resumption().feed(probabilities).tolist()
        self._decode = decode
        self._seconds = seconds
        self._said = Utterance(
            rules or UtteranceRules(),
            endpointing=endpointing or TurnRules(auto=True).endpointing(None),
        )
        self._segment: Segment | None = None  # segment of the last decode that was started
        self._text: Transcript | None = None  # its result
        self._running = False  # it is being decoded
        self._doubtful = False  # its result is to be decoded again
        self._free = 0.0  # time at which the model becomes idle, in seconds

    def end(self) -> float:
        """Time of the text in seconds; that of the last sample if there is no text."""
        for number, probability in enumerate(self._probabilities, start=1):
            now = number * WINDOW / SAMPLE_RATE
            if self._free <= now and self._read():
                return self._answered(self._free)
            actions = self._said.feed([probability], may_guess=self._free <= now)
            if self._perform(actions, now):
                return self._answered(now)
        return len(self._sound) / SAMPLE_RATE

    def _answered(self, now: float) -> float:
        """Return when the answer to a turn that ends now is there."""
        if self._running:
            return max(now, self._free)
        if self._doubtful and self._segment is not None:
            self._begin(self._segment, now, quick=False)
            return self._free
        return now

    def _read(self) -> bool:
        """Apply the result of the finished decode; return True if the turn is over."""
        if self._segment is None or self._text is None or not self._running:
            return False
        self._running, text = False, self._text
        self.end_of_turn = end_of_turn(self._segment, text, self._sound)
        late = not text.unusable and 2 * self._seconds > self._time_left(self._free)
        self._doubtful = text.provisional and not late
        actions = self._said.decoded(self._segment, self.end_of_turn, provisional=self._doubtful)
        return self._perform(actions, self._free)

    def _time_left(self, now: float) -> float:
        return self._said.speech_end + self._said.endpointing.answer_by - now

    def _perform(self, actions: Sequence[Action], now: float) -> bool:
        """Start the requested decodes; return True if the turn is over."""
        for action in actions:
            if isinstance(action, Drop):
                self._running = self._doubtful = False  # the decode still runs to its end
            elif isinstance(action, Decode):
                again = self._doubtful and not action.guess
                if action.segment is not self._segment or again:
                    self._begin(action.segment, now, quick=action.quick and not again)
        return any(isinstance(action, EndTurn) for action in actions)

    def _begin(self, segment: Segment, now: float, *, quick: bool) -> None:
        samples = self._sound[segment.start : segment.end]
        text = self._decode(samples, segment.leading_silence, quick)
        takes = self._seconds * text.passes
        if text.passes > 1 and takes > self._time_left(now):
            first = self._decode(samples, segment.leading_silence, True)
            if not first.unusable:  # no time for a second pass
                text, takes = first, self._seconds
        self._segment, self._text, self._running = segment, text, True
        self._doubtful = False
        self._free = max(self._free, now) + takes
        self.decodes += 1


def end_of_turn(segment: Segment, text: Transcript, sound: Samples) -> EndOfTurn:
    """Classify the text of a segment as the server does."""
    if not text.text or text.end_scores is None or text.turn_classifier is None:
        return classify_text(text.text)
    prosody = measure_prosody(sound[segment.start : segment.end], segment.speech_end)
    return text.turn_classifier.classify(text.end_scores, prosody)
