"""First encoding: encodes a batch in the window that its languages need, and detects these.

An unknown language is detected in a short window first, so that a command in a language with a
short window is as cheap as if its language were named. Where the detected language needs a longer
window, the batch is encoded again. Where the short window is not enough to tell the language, the
batch is encoded in the longest window that any of its languages may need, and the language is
detected there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...hardware import release_memory
from ..protocol import Job
from .acoustic_model import AcousticModel, Encoding
from .encoder import Encoder
from .language import Detection, languages
from .spectrogram import Features


@dataclass(frozen=True, slots=True)
class FirstEncoding:
    """A batch, ready for its first pass."""

    encoding: Encoding
    frames: int  # its window
    effort: int  # frames that were encoded for it, of all clips and in all windows
    languages: Sequence[tuple[str, float]]  # of each job, with its probability, 0 to 1


def encode_first(
    model: AcousticModel,
    encoder: Encoder,
    jobs: Sequence[Job],
    features: Sequence[Features],
    detection: Detection,
) -> FirstEncoding:
    """Encode a batch for its first pass, and detect languages that are not known.

    Args:
        jobs: with equal options, but for their hotwords.
        features: one array per job.
        detection: values for the model.
    """
    frames = max(map(encoder.frames, jobs))
    encoding = model.encode(features, frames)
    found = languages(model, jobs, encoding, detection)
    windows = [
        encoder.pass_frames(job, language)
        if probability >= detection.least_probability
        else encoder.longest_frames(job)
        for job, (language, probability) in zip(jobs, found, strict=True)
    ]
    longer = max(windows)
    if longer <= frames:
        return FirstEncoding(encoding, frames, len(jobs) * frames, found)
    del encoding
    # Heap blocks left by a short window may be too small for a longer one: return them first.
    release_memory()
    encoding = model.encode(features, longer)
    if any(probability < detection.least_probability for _, probability in found):
        again = languages(model, jobs, encoding, detection)
        found = [
            second if first[1] < detection.least_probability else first
            for first, second in zip(found, again, strict=True)
        ]
    return FirstEncoding(encoding, longer, len(jobs) * (frames + longer), found)
