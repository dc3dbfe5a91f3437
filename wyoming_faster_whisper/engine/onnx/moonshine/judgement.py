"""Hallucination check for Moonshine: whether a text is speech, doubtful, or noise. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from importlib import resources

from ...protocol import Job
from ...whisper.hallucination import Decoded, has_words
from ...whisper.hallucination import unfinished as is_unfinished
from ...whisper.repetition import has_loop, repeated_tail, shortened


class Judgement(Enum):
    """Decision on a text. The values are those of Whisper's hallucination check, for the log."""

    ACCEPT = "believe"
    DOUBTFUL = "again"  # decode once more
    NO_SPEECH = "empty"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Fitted limits of a text. Log-probabilities are natural, and means over the tokens.

    The no-speech probability is that of an empty text.
    """

    doubtful: float  # log-probability below which the clip is decoded once more
    no_speech: float  # log-probability below which it is not speech, if it may also be empty
    no_speech_prob: float  # no-speech probability above which the text may also be empty
    # The same where the VAD is not sure that there is speech: either of them is enough.
    uncertain_no_speech: float
    uncertain_no_speech_prob: float
    # Bonus for texts with a name (natural log, whole text). Whisper needs none: its prompt
    # contains the names.
    name_bonus: float


def judge(decoded: Decoded, job: Job, thresholds: Thresholds) -> Judgement:
    """Judge the text of a first pass."""
    logprob, no_speech_prob = decoded.avg_logprob, decoded.no_speech_prob
    if not has_words(decoded.text):
        return Judgement.NO_SPEECH
    if not job.certain_speech:
        is_noise = (
            decoded.repetitive
            or logprob < thresholds.uncertain_no_speech
            or no_speech_prob > thresholds.uncertain_no_speech_prob
        )
        return Judgement.NO_SPEECH if is_noise else Judgement.ACCEPT
    if logprob < thresholds.no_speech and no_speech_prob > thresholds.no_speech_prob:
        return Judgement.NO_SPEECH
    if decoded.repetitive or logprob < thresholds.doubtful:
        return Judgement.DOUBTFUL
    return Judgement.ACCEPT


def unfinished(decoded: Decoded, thresholds: Thresholds) -> bool:
    """Return True for a text that more audio after its last word may change."""
    return is_unfinished(decoded, thresholds.doubtful)


def without_loop(decoded: Decoded) -> str:
    """Return the most probable hypothesis that does not loop, or else one round of the loop."""
    texts = (decoded.text, *decoded.alternatives)
    for text in texts:
        if not has_loop(text):
            return text
    repeat = repeated_tail(decoded.text)
    return decoded.text if repeat is None else shortened(decoded.text, repeat, 1)


# For a model without calibration: only the check for loops, and an empty text where the VAD is
# not sure and the no-speech probability is above one half.
_LENIENT = Thresholds(
    doubtful=float("-inf"),
    no_speech=float("-inf"),
    no_speech_prob=1.0,
    uncertain_no_speech=float("-inf"),
    uncertain_no_speech_prob=0.5,
    name_bonus=0.0,
)


def thresholds_of(model: str) -> tuple[Thresholds, bool]:
    """Return the thresholds of a model, and whether they were fitted for it.

    They come from ../calibration/<model>.json, which names their data.
    """
    file = resources.files("wyoming_faster_whisper.engine.onnx") / "calibration" / f"{model}.json"
    if not re.fullmatch(r"[\w.-]+", model) or not file.is_file():
        return _LENIENT, False
    return Thresholds(**json.loads(file.read_text("utf-8"))["judgement"]["values"]), True
