"""When a turn is over although the client has not said so. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from .hysteresis import windows

SENSITIVITIES = {"aggressive": 0.25, "default": 0.7, "relaxed": 1.25}
"""Seconds of silence that end a turn, as Home Assistant names them (assist_pipeline/vad.py)."""

# Home Assistant's own VAD never waits longer for a command (VoiceCommandSegmenter,
# timeout_seconds): what goes on after that does not come from it.
_LONGEST_IN_HOME_ASSISTANT = 15.0  # seconds

# Seconds of silence behind what reads like that, with auto. Of 120 recorded orders 6% have a
# pause of 0.26 s, 4% of 0.32 s and less than 1% of 0.4 s: the first is for a quick machine, and a
# window longer than a pause in which somebody was cut off. Two are as long as it takes to hear
# somebody begin again after 0.7 and 1.0 s.
_COMPLETE = 0.32
_LIKELY = 0.8
_UNSURE = 1.12
_INCOMPLETE = 1.4

# Seconds behind which the end is so likely that a decode will not have been in vain: of 120
# recorded orders one has a pause of half of that.
_FINAL_DECODE = 0.8


class EndOfTurn(Enum):
    """How what was said before a silence reads."""

    NO_SPEECH = "nothing"  # the gate says that nobody spoke
    INCOMPLETE = "unfinished"
    UNSURE = "unsure"
    LIKELY = "likely"  # to be finished
    COMPLETE = "finished"
    FAILED = "failed"  # the model did


class EndReason(Enum):
    """What ended a turn."""

    STOPPED = "audio-stop"
    SILENCE = "silence"
    NO_SPEECH = "no speech"
    LONGEST = "longest command"
    FULL = "longest utterance"


@dataclass(frozen=True, slots=True)
class Endpointing:
    """When a turn ends without the client's saying so; in seconds, 0 = never.

    Silence ends a turn once what was said before it has been read, and is something.
    """

    min_silence: float = 0.0  # behind speech
    # The same behind what reads like that; 0 = silence:
    complete: float = 0.0
    likely: float = 0.0
    incomplete: float = 0.0
    no_speech: float = 0.0  # of the stream, without a word
    longest: float = 0.0  # since speech began
    within: float = 0.0  # silence ends a turn in these first seconds only

    def silence_after(self, end_of_turn: EndOfTurn) -> int:
        """Windows of silence that end a turn which reads like that."""
        seconds = {
            EndOfTurn.COMPLETE: self.complete,
            EndOfTurn.LIKELY: self.likely,
            EndOfTurn.INCOMPLETE: self.incomplete,
        }
        return max(1, windows(seconds.get(end_of_turn) or self.min_silence))

    @property
    def final_decode(self) -> int:
        """Windows of silence behind which what was said is decoded, whoever else waits."""
        return max(1, windows(min(self.min_silence, _FINAL_DECODE)))


@dataclass(frozen=True, slots=True)
class TurnRules:
    """When the server ends a turn, by what it was started with and what a request says."""

    min_silence: float = 0.0  # seconds behind speech that end a turn; 0 = only the client ends it
    auto: bool = False  # how the text reads decides on the silence
    no_speech: float = 8.0  # seconds without a word that end a turn; 0 = never
    longest: float = 30.0  # seconds that a command may last; 0 = as long as it likes
    early_silence: float = (
        0.0  # seconds of silence that end a turn of Home Assistant's; 0 = never
    )

    def server_endpointing(self, sensitivity: str | None) -> bool:
        """The server ends the turn: the client need not."""
        return self.auto or self.min_silence > 0 or sensitivity is not None

    def endpointing(self, sensitivity: str | None) -> Endpointing:
        """The rules for one turn.

        Args:
            sensitivity: one of SENSITIVITIES, anything else is "default"; None = not said.
        """
        if not self.server_endpointing(sensitivity):
            return Endpointing(min_silence=self.early_silence, within=_LONGEST_IN_HOME_ASSISTANT)
        silence = self.min_silence
        if sensitivity is not None:
            silence = SENSITIVITIES.get(sensitivity, SENSITIVITIES["default"])
        rules = Endpointing(min_silence=silence, no_speech=self.no_speech, longest=self.longest)
        if self.auto and sensitivity is None:
            rules = replace(
                rules,
                min_silence=_UNSURE,
                complete=_COMPLETE,
                likely=_LIKELY,
                incomplete=_INCOMPLETE,
            )
        return rules
