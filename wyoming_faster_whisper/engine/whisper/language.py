"""Language step: the language of each clip, given or detected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from ..protocol import DecodeOptions, Job
from .acoustic_model import AcousticModel, Encoding
from .window import Window


@dataclass(frozen=True, slots=True)
class Detection:
    """Fitted values of language detection; calibration/ has their data."""

    # Prior odds of the expected language against each other candidate.
    expected_odds: float
    # Shortest window in which the language is detected: its length, and the padding after the
    # clip, both in seconds.
    floor: float
    margin: float
    # Seconds of speech; a clip with less is encoded at once in the longest window that it may
    # need, because a single word is seldom enough for a shorter one.
    least_speech: float
    # Least probability, 0 to 1, of a language that was detected in a shorter window than its
    # clip may need; below it, the language is detected again in the longer one.
    least_probability: float

    @property
    def window(self) -> Window:
        """Shortest window in which the language is detected."""
        return Window(self.floor, self.margin, second=self.floor)


def known_language(options: DecodeOptions, *, multilingual: bool) -> str:
    """Return the spoken language; "" if it has to be detected."""
    return options.language or ("" if multilingual else "en")


def languages(
    model: AcousticModel, jobs: Sequence[Job], encoding: Encoding, detection: Detection
) -> list[tuple[str, float]]:
    """Return the language of each job and its probability, 0 to 1.

    Args:
        jobs: a batch, with equal options, but for their hotwords.
        encoding: of the batch.
        detection: values for the model.
    """
    options = jobs[0].options
    if known := known_language(options, multilingual=model.tokenizer.multilingual):
        return [(known, 1.0)] * len(jobs)
    return [
        choose_language(found, options, detection) for found in model.detect_language(encoding)
    ]


def choose_language(
    found: Mapping[str, float], options: DecodeOptions, detection: Detection
) -> tuple[str, float]:
    """Choose the most probable candidate language.

    Args:
        found: probability of each language by the model.

    Returns:
        Whisper's code, and its posterior probability among the candidates. If the model knows
        none of the candidates, the most probable language of all.
    """
    expected, odds = options.expected_language, detection.expected_odds
    weights = {
        code: found[code] * (odds if code == expected else 1.0)
        for code in options.candidate_languages
        if code in found
    }
    total = sum(weights.values())
    if not total:
        return max(found.items(), key=itemgetter(1))
    best = max(weights, key=weights.__getitem__)
    return best, weights[best] / total
