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
_FINISHED = 0.32
_LIKELY = 0.8
_UNSURE = 1.12
_UNFINISHED = 1.4

# Seconds behind which the end is so likely that a decode will not have been in vain: of 120
# recorded orders one has a pause of half of that.
_DUE = 0.8


class Reading(Enum):
    """How what was said before a silence reads."""

    NOTHING = "nothing"  # the gate says that nobody spoke
    UNFINISHED = "unfinished"
    UNSURE = "unsure"
    LIKELY = "likely"  # to be finished
    FINISHED = "finished"
    FAILED = "failed"  # the model did


class Ended(Enum):
    """What ended a turn."""

    STOPPED = "audio-stop"
    SILENCE = "silence"
    NO_SPEECH = "no speech"
    LONGEST = "longest command"
    FULL = "longest utterance"


@dataclass(frozen=True, slots=True)
class Ending:
    """When a turn ends without the client's saying so; in seconds, 0 = never.

    Silence ends a turn once what was said before it has been read, and is something.
    """

    silence: float = 0.0  # behind speech
    # The same behind what reads like that; 0 = silence:
    finished: float = 0.0
    likely: float = 0.0
    unfinished: float = 0.0
    no_speech: float = 0.0  # of the stream, without a word
    longest: float = 0.0  # since speech began
    within: float = 0.0  # silence ends a turn in these first seconds only

    def needed(self, reading: Reading) -> int:
        """Windows of silence that end a turn which reads like that."""
        seconds = {
            Reading.FINISHED: self.finished,
            Reading.LIKELY: self.likely,
            Reading.UNFINISHED: self.unfinished,
        }
        return max(1, windows(seconds.get(reading) or self.silence))

    @property
    def due(self) -> int:
        """Windows of silence behind which what was said is decoded, whoever else waits."""
        return max(1, windows(min(self.silence, _DUE)))


@dataclass(frozen=True, slots=True)
class TurnRules:
    """When the server ends a turn, by what it was started with and what a request says."""

    silence: float = 0.0  # seconds behind speech that end a turn; 0 = only the client ends it
    auto: bool = False  # how the text reads decides on the silence
    no_speech: float = 8.0  # seconds without a word that end a turn; 0 = never
    longest: float = 30.0  # seconds that a command may last; 0 = as long as it likes
    early: float = 0.0  # seconds of silence that end a turn of Home Assistant's; 0 = never

    def endpointing(self, sensitivity: str | None) -> bool:
        """The server ends the turn: the client need not."""
        return self.auto or self.silence > 0 or sensitivity is not None

    def ending(self, sensitivity: str | None) -> Ending:
        """The rules for one turn.

        Args:
            sensitivity: one of SENSITIVITIES, anything else is "default"; None = not said.
        """
        if not self.endpointing(sensitivity):
            return Ending(silence=self.early, within=_LONGEST_IN_HOME_ASSISTANT)
        silence = self.silence
        if sensitivity is not None:
            silence = SENSITIVITIES.get(sensitivity, SENSITIVITIES["default"])
        ending = Ending(silence=silence, no_speech=self.no_speech, longest=self.longest)
        if self.auto and sensitivity is None:
            ending = replace(
                ending,
                silence=_UNSURE,
                finished=_FINISHED,
                likely=_LIKELY,
                unfinished=_UNFINISHED,
            )
        return ending
