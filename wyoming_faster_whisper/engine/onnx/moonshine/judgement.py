"""Is a decoded text speech, doubtful, or what the decoder writes for noise? Pure."""

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
    """Mean log-probabilities (natural) below which a text is not simply accepted.

    The model has no no-speech probability.
    """

    doubtful: float  # decode once more
    no_speech: float  # it is no speech, where the VAD is sure that there is some
    no_speech_uncertain: float  # the same where the VAD is not sure


def judge(decoded: Decoded, job: Job, thresholds: Thresholds) -> Judgement:
    """Judge the text of a first pass."""
    lowest = thresholds.no_speech if job.certain_speech else thresholds.no_speech_uncertain
    if not has_words(decoded.text) or decoded.avg_logprob < lowest:
        return Judgement.NO_SPEECH
    if not job.certain_speech and decoded.repetitive:
        return Judgement.NO_SPEECH
    if decoded.repetitive or decoded.avg_logprob < thresholds.doubtful:
        return Judgement.DOUBTFUL
    return Judgement.ACCEPT


def unfinished(decoded: Decoded, thresholds: Thresholds) -> bool:
    """Return True for a text that more audio after its last word may change."""
    return is_unfinished(decoded, thresholds.doubtful)


def without_loop(decoded: Decoded) -> str:
    """Return the most probable hypothesis that does not loop, or the loop said once."""
    texts = (decoded.text, *decoded.alternatives)
    for text in texts:
        if not has_loop(text):
            return text
    repeat = repeated_tail(decoded.text)
    return decoded.text if repeat is None else shortened(decoded.text, repeat, 1)


# For a model that was not calibrated: the check for loops only.
_LENIENT = Thresholds(
    doubtful=float("-inf"), no_speech=float("-inf"), no_speech_uncertain=float("-inf")
)


def thresholds_of(model: str) -> tuple[Thresholds, bool]:
    """Return the thresholds of a model, and whether they were fitted for it.

    They come from ../calibration/<model>.json, which names their data.
    """
    file = resources.files("wyoming_faster_whisper.engine.onnx") / "calibration" / f"{model}.json"
    if not re.fullmatch(r"[\w.-]+", model) or not file.is_file():
        return _LENIENT, False
    return Thresholds(**json.loads(file.read_text("utf-8"))["judgement"]["values"]), True
