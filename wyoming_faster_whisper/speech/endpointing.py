"""Endpointing: when the server ends a turn without an `audio-stop` from the client. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from .hysteresis import windows
from .segmenter import FRAGMENT_SILENCE_FACTOR

SENSITIVITIES = {"aggressive": 0.25, "default": 0.7, "relaxed": 1.25}
"""Seconds of silence that end a turn, by Home Assistant's names (assist_pipeline/vad.py)."""

# Home Assistant's own VAD stops every command after this time (VoiceCommandSegmenter,
# timeout_seconds). A longer stream does not come from its voice pipeline.
_LONGEST_IN_HOME_ASSISTANT = 15.0  # seconds

# Seconds of silence after speech that end a turn, by end-of-turn class, with `auto`; python -m
# bench.calibration.silences tries others. Of 120 recorded commands 4% contain a pause of 0.26 s,
# 2.5% one of 0.32 s and one a pause of 0.4 s (python -m bench.calibration.speech_lengths;
# docs/performance-notes.md).
# _COMPLETE is short because on a fast machine the answer waits only for it. It is one VAD window
# longer than a pause at which a speaker was cut off. _LIKELY and _UNSURE outlast pauses of 0.7 s
# and 1.0 s plus the time that the VAD takes to detect that the speaker goes on.
_COMPLETE = 0.32
_LIKELY = 0.8
_UNSURE = 1.12
_INCOMPLETE = 1.4

# Seconds of silence after which a final decode is rarely wasted, because the turn is almost
# certainly over: of 120 recorded commands only one contains a pause of even half that length.
_FINAL_DECODE = 0.8

# Seconds of silence by which the answer to a doubtful text is due: twice Home Assistant's default
# silence, and as long as an unfinished sentence waits. Set by hand: a second pass of base in
# English ends after 1.2 s on two cores, and in a language with the full window it does not fit.
_ANSWER_BY = 1.4

# Shorter speech, such as "Hm" or "Okay", is often followed by a command after a pause. An early
# answer waits longer after it: a speaker who gets the answer to "Okay" cannot finish the command.
# 22 of 24 interjections and 30 of 32 words of synthetic voices have less, and none of the 120
# recorded commands (python -m bench.calibration.speech_lengths, English, 2026-11-29).
_SHORT_SPEECH = 0.8  # seconds


class EndOfTurn(Enum):
    """End-of-turn class of the speech before a silence: how finished its sentence seems."""

    NO_SPEECH = "nothing"  # the hallucination check found no speech
    INCOMPLETE = "unfinished"
    UNSURE = "unsure"
    LIKELY = "likely"  # probably finished
    COMPLETE = "finished"
    FAILED = "failed"  # the decode raised an error


class EndReason(Enum):
    """Reason why a turn ended; the values appear in the log."""

    STOPPED = "audio-stop"
    SILENCE = "silence"
    NO_SPEECH = "no speech"
    LONGEST = "longest command"
    FULL = "longest utterance"


@dataclass(frozen=True, slots=True)
class Endpointing:
    """Endpointing rules of one turn. All times are in seconds; 0 = never.

    Silence ends a turn only after the speech before it has been decoded and not rejected as
    noise.
    """

    min_silence: float = 0.0  # silence after speech that ends the turn
    # The same for speech of these end-of-turn classes; 0 = min_silence:
    complete: float = 0.0
    likely: float = 0.0
    incomplete: float = 0.0
    short: float = 0.0  # the same after very short speech, whatever its class
    no_speech: float = 0.0  # since the stream began, while there is no speech
    longest: float = 0.0  # since speech began
    within: float = 0.0  # silence ends the turn only in these first seconds; 0 = always
    # Silence within which a doubtful text may be decoded again. An answer that the server owes at
    # the end of a turn does not wait longer for a second opinion.
    answer_by: float = 0.0

    def silence_after(self, end_of_turn: EndOfTurn, speech: int) -> int:
        """Return the number of silent windows that end a turn.

        Args:
            end_of_turn: class of the speech before the silence.
            speech: windows of speech in the turn so far.
        """
        if self.short and speech < windows(_SHORT_SPEECH):
            return max(1, windows(self.short))
        seconds = {
            EndOfTurn.COMPLETE: self.complete,
            EndOfTurn.LIKELY: self.likely,
            EndOfTurn.INCOMPLETE: self.incomplete,
        }
        return max(1, windows(seconds.get(end_of_turn) or self.min_silence))

    def least_silence(self, speech: int) -> int:
        """Return the smallest number of silent windows that may end a turn.

        Args:
            speech: as for silence_after().
        """
        return min(self.silence_after(each, speech) for each in EndOfTurn)

    @property
    def final_decode(self) -> int:
        """Silent windows after which the turn is decoded as final, even if other clients wait.

        A guess, by contrast, is decoded only while the model is idle.
        """
        return max(1, windows(min(self.min_silence, _FINAL_DECODE)))


@dataclass(frozen=True, slots=True)
class TurnRules:
    """Endpointing settings of the server; a request may override the sensitivity, or all."""

    min_silence: float = 0.0  # seconds of silence that end a turn; 0 = only the client ends it
    auto: bool = False  # the end-of-turn class sets the length of the silence
    incomplete: float = _INCOMPLETE  # seconds of silence after an unfinished sentence, with auto
    no_speech: float = 8.0  # seconds without speech that end a turn; 0 = never
    longest: float = 30.0  # longest command in seconds; 0 = no limit
    early_silence: float = (
        0.0  # seconds of silence that end a live turn from Home Assistant; 0 = never
    )

    def without_scores(self) -> TurnRules:
        """Return the rules for a model that gives no end-of-turn scores."""
        return (
            replace(self, auto=False, min_silence=SENSITIVITIES["default"]) if self.auto else self
        )

    def server_endpointing(self, sensitivity: str | None) -> bool:
        """Return whether the server ends a turn without waiting for the client's `audio-stop`.

        Args:
            sensitivity: as for endpointing().
        """
        return self.auto or self.min_silence > 0 or sensitivity is not None

    def endpointing(self, sensitivity: str | None) -> Endpointing:
        """Return the endpointing rules for one turn.

        Args:
            sensitivity: a key of SENSITIVITIES; any other string counts as "default", None means
                that the request has no sensitivity.
        """
        if not self.server_endpointing(sensitivity):
            return Endpointing(
                min_silence=self.early_silence,
                short=FRAGMENT_SILENCE_FACTOR * self.early_silence,
                within=_LONGEST_IN_HOME_ASSISTANT,
            )
        silence = self.min_silence
        if sensitivity is not None:
            silence = SENSITIVITIES.get(sensitivity, SENSITIVITIES["default"])
        rules = Endpointing(
            min_silence=silence,
            no_speech=self.no_speech,
            longest=self.longest,
            answer_by=max(silence, _ANSWER_BY),
        )
        if self.auto and sensitivity is None:
            rules = replace(
                rules,
                min_silence=_UNSURE,
                complete=_COMPLETE,
                likely=_LIKELY,
                incomplete=self.incomplete,
            )
        return rules
