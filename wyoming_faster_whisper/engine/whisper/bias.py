"""Biasing step: choose between a text and texts with a name of the home in it."""

from __future__ import annotations

from collections.abc import Sequence

from ...biasing.hypotheses import choose_rewrite
from .acoustic_model import AcousticModel
from .clip import Clip
from .encoder import Encoder
from .hallucination import Decoded
from .prompting import JobBiasing


def bias(
    model: AcousticModel, encoder: Encoder, clip: Clip, text: str, decoded: Decoded
) -> tuple[str, int]:
    """Bias a text towards the names of its job, if something in it resembles one.

    Args:
        text: the best text so far; "" = no speech.
        decoded: result of the pass that the text comes from.

    Returns:
        The text, and the number of passes that the step took: 0 or 1.
    """
    biasing = JobBiasing(clip.job, clip.language, clip.calibration.names)
    hypotheses = (text, *decoded.alternatives) if text else ()
    names = biasing.similar_names(hypotheses)
    # Without a prompt, or if no name fits into it, the decoder cannot be biased.
    passes = int(bool(names) and _prompt(model, clip, names) != clip.prompt)
    if passes:
        text = _most_probable(model, encoder, clip, biasing, hypotheses, names, decoded)
    return biasing.correct(text), passes


def _most_probable(
    model: AcousticModel,
    encoder: Encoder,
    clip: Clip,
    biasing: JobBiasing,
    hypotheses: Sequence[str],
    names: Sequence[str],
    decoded: Decoded,
) -> str:
    """Choose between the first text and texts with a name, by a biased decode and scores.

    Args:
        hypotheses: n-best list, best first.
        names: names that something in the hypotheses resembles.
        decoded: result of the pass that gave the hypotheses.
    """
    encoding = encoder.first(clip)
    biased: tuple[str, ...] = ()
    if words := biasing.allowed_words(hypotheses, names):
        [found] = model.generate(
            encoding,
            [_prompt(model, clip, names, clip.job.prefix)],
            clip.beam,
            [decoded.budget],
            allowed=model.tokenizer.spellings(words),
        )
        biased = (found.text, *found.alternatives)
    rewrites = biasing.rewrites(hypotheses, biased, avg_logprob=decoded.avg_logprob)
    if not rewrites:
        return hypotheses[0]
    named = list(dict.fromkeys(rewrite.name for rewrite in rewrites))
    texts = (hypotheses[0], *(rewrite.text for rewrite in rewrites))
    scores = model.score([encoding], _prompt(model, clip, named), texts)
    unbiased, *others = (value for text in texts for value in scores[text])
    rewrite = choose_rewrite(rewrites, others, unbiased_score=unbiased)
    return rewrite.text if rewrite else hypotheses[0]


def _prompt(
    model: AcousticModel, clip: Clip, names: Sequence[str], prefix: str = ""
) -> list[int]:
    return model.tokenizer.prompt(clip.job.options, clip.language, names, prefix)
