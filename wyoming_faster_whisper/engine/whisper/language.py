"""Language step: the language of each clip, given or detected."""

from __future__ import annotations

from collections.abc import Sequence

from ..protocol import DecodeOptions, Job
from .acoustic_model import AcousticModel, Encoding


def known_language(options: DecodeOptions, *, multilingual: bool) -> str:
    """Return the spoken language; "" if it has to be detected."""
    return options.language or ("" if multilingual else "en")


def languages(
    model: AcousticModel, jobs: Sequence[Job], encoding: Encoding
) -> list[tuple[str, float]]:
    """Return the language of each job and its probability, 0 to 1.

    Args:
        jobs: a batch, with equal options, but for their hotwords.
        encoding: of the batch.
    """
    options = jobs[0].options
    if known := known_language(options, multilingual=model.tokenizer.multilingual):
        return [(known, 1.0)] * len(jobs)
    return model.detect_language(encoding, options.candidate_languages)
