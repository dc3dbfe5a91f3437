"""End-of-text step: what the decoder expects after a text, to tell the end of a turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...speech.turn_classifier import EndOfTextScores
from .acoustic_model import AcousticModel, Encoding
from .clip import Clip
from .hallucination import Decoded


def score_ends(
    model: AcousticModel, clips: Sequence[Clip], decoded: Sequence[Decoded], encoding: Encoding
) -> list[EndOfTextScores | None]:
    """Score the ends of the texts of those jobs that ask for it.

    Args:
        clips: a batch.
        decoded: results of the first pass.
        encoding: of the batch.

    Returns:
        One result per clip, in order; None where the job does not ask, or has no text.
    """
    found: list[EndOfTextScores | None] = [None] * len(clips)
    wanted = [at for at, clip in enumerate(clips) if clip.job.score_end and decoded[at].text]
    # The clips of a batch have one prompt, unless their languages were detected and differ.
    for prompt in {tuple(clips[at].prompt) for at in wanted}:
        rows = [at for at in wanted if tuple(clips[at].prompt) == prompt]
        scores = model.score_end_of_text(
            encoding,
            list(prompt),
            [one.text if at in rows else "" for at, one in enumerate(decoded)],
            [clip.seconds for clip in clips],
        )
        for at in rows:
            found[at] = _from_first_sample(clips[at], scores[at])
    return found


def _from_first_sample(clip: Clip, scores: EndOfTextScores | None) -> EndOfTextScores | None:
    """Count text_end from the job's first sample, which comes after the leading silence."""
    silence = clip.seconds - clip.job.seconds
    return scores and replace(scores, text_end=scores.text_end - silence)
