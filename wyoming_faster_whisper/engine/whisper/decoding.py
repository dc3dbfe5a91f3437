"""Decoding steps: encodings to n-best lists, in a first and in a second pass."""

from __future__ import annotations

from collections.abc import Sequence

from .acoustic_model import AcousticModel, Encoding
from .clip import Clip
from .hallucination import Decoded
from .rescoring import prefer_in_vocabulary
from .tuning import BEAM


def decode_batch(
    model: AcousticModel, clips: Sequence[Clip], encoding: Encoding
) -> list[Decoded]:
    """Decode a batch in a first pass.

    Args:
        clips: with equal options, but for their hotwords.
        encoding: of the batch.

    Returns:
        One result per clip, in order.
    """
    prompts = [_prompt(model, clip) for clip in clips]
    budgets = [clip.budget for clip in clips]
    temperature = clips[0].job.options.temperature
    decoded = model.generate(encoding, prompts, clips[0].beam, budgets, temperature=temperature)
    return [
        prefer_in_vocabulary(one, clip.oov_count, clip.calibration.rescoring)
        for one, clip in zip(decoded, clips, strict=True)
    ]


def decode_again(model: AcousticModel, clip: Clip, encoding: Encoding) -> Decoded:
    """Decode a clip in a second pass: with a beam, even if the first pass was greedy."""
    options = clip.job.options
    [decoded] = model.generate(
        encoding,
        [_prompt(model, clip)],
        options.beam_size or BEAM,
        [clip.budget],
        temperature=options.temperature,
    )
    return prefer_in_vocabulary(decoded, clip.oov_count, clip.calibration.rescoring)


def _prompt(model: AcousticModel, clip: Clip) -> list[int]:
    # The text begins with the prefix: the decoder returns it as part of the text.
    job = clip.job
    return model.tokenizer.prompt(job.options, clip.language, prefix=job.prefix)
