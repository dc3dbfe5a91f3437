"""Biasing step: choose between a text and texts with a name of the home in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...biasing.hypotheses import Rewrite, choose_rewrite
from .acoustic_model import AcousticModel
from .clip import Clip
from .encoder import Encoder
from .hallucination import Decoded
from .prompting import JobBiasing


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Texts that may have been said, and what the decoder thinks of them."""

    hypotheses: tuple[str, ...]  # n-best list, best first; empty = no speech
    biased: tuple[str, ...] = ()  # n-best list of the biased decode
    rewrites: tuple[Rewrite, ...] = ()  # texts with a name
    # Log-probability (natural) of each rewrite and of the first hypothesis; {} without rewrites.
    scores: Mapping[str, float] = field(default_factory=dict)
    passes: int = 0  # passes that it took to find and score them: 0 or 1

    def most_probable(self) -> str:
        """Return the first hypothesis, or a rewrite that is probable enough."""
        if not self.rewrites:
            return self.hypotheses[0] if self.hypotheses else ""
        scores = [self.scores[rewrite.text] for rewrite in self.rewrites]
        first = self.hypotheses[0]
        rewrite = choose_rewrite(self.rewrites, scores, unbiased_score=self.scores[first])
        return rewrite.text if rewrite else first


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
    found = alternatives(model, encoder, clip, biasing, text, decoded)
    return biasing.correct(found.most_probable()), found.passes


def alternatives(
    model: AcousticModel,
    encoder: Encoder,
    clip: Clip,
    biasing: JobBiasing,
    text: str,
    decoded: Decoded,
) -> Alternatives:
    """Find texts with a name, by a biased decode, and let the decoder score them.

    Args:
        text: the best text so far; "" = no speech.
        decoded: result of the pass that the text comes from.
    """
    hypotheses = (text, *decoded.alternatives) if text else ()
    names = biasing.similar_names(hypotheses)
    # Without a prompt, or if no name fits into it, the decoder cannot be biased.
    if not names or _prompt(model, clip, names) == clip.prompt:
        return Alternatives(hypotheses)
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
    rewrites = biasing.rewrites(hypotheses, biased)
    if not rewrites:
        return Alternatives(hypotheses, biased, passes=1)
    named = list(dict.fromkeys(rewrite.name for rewrite in rewrites))
    texts = (hypotheses[0], *(rewrite.text for rewrite in rewrites))
    scored = model.score([encoding], _prompt(model, clip, named), texts)
    scores = {each: value for each, [value] in scored.items()}
    return Alternatives(hypotheses, biased, rewrites, scores, passes=1)


def _prompt(
    model: AcousticModel, clip: Clip, names: Sequence[str], prefix: str = ""
) -> list[int]:
    return model.tokenizer.prompt(clip.job.options, clip.language, names, prefix)
