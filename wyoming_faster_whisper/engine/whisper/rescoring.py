"""Rescoring of the n-best hypotheses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .hallucination import Decoded, has_words
from .repetition import has_repeat, plain_words

# A hypothesis counts as truncated if another one has this many words more, and this many letters:
# a missing space alone ("bedroom" for "bed room") takes words away but no letters. Set by hand.
# Truncated hypotheses are probable because the decoder may end the text after every sentence,
# whether or not more speech follows, and because short texts have high log-probabilities.
_MIN_EXTENSION = 2
_MIN_LETTERS = 4

_PER_PASS = 3  # hypotheses of one pass; with all five of a beam no more orders are right


@dataclass(frozen=True, slots=True)
class Weights:
    """Fitted weights of the rescoring; calibration/ has their data."""

    oov_penalty: float  # log-probability (natural) per out-of-vocabulary (OOV) word


def prefer_in_vocabulary(
    decoded: Decoded, oov_count: Callable[[str], int], weights: Weights
) -> Decoded:
    """Prefer a hypothesis with fewer out-of-vocabulary words, if it is nearly as probable.

    A small model misspells a word that it did not recognise ("a double-shot moco", "medium-ro"),
    while one of the next hypotheses often has the word ("mocha", "medium roast"). A truncated
    hypothesis is never preferred: the word is missing from it together with a sentence.

    Args:
        decoded: n-best list of one pass.
        oov_count: counts the out-of-vocabulary words of a text.
        weights: those of the model and the language.

    Returns:
        The same n-best list with the preferred hypothesis first. The number of tokens and the
        mean log-probability stay those of the original first hypothesis.
    """
    count = oov_count(decoded.text)
    if not count or not decoded.scores:
        return decoded
    texts = (decoded.text, *decoded.alternatives)

    def value(at: int) -> float:
        return decoded.scores[at] - weights.oov_penalty * oov_count(texts[at])

    fewer = [
        at
        for at, text in enumerate(texts)
        if text and oov_count(text) < count and not _is_truncated(text, decoded.text)
    ]
    best = max((0, *fewer), key=value)
    order = [best, *(at for at in range(len(texts)) if at != best)]
    text, *others = (texts[at] for at in order)
    return replace(
        decoded,
        text=text,
        alternatives=tuple(others),
        scores=tuple(decoded.scores[at] for at in order),
    )


def _is_truncated(text: str, other: str) -> bool:
    """Return True if a text lacks words of another; missing spaces do not count."""
    words, others = plain_words(text), plain_words(other)
    return (
        len(others) - len(words) >= _MIN_EXTENSION
        and len("".join(others)) - len("".join(words)) >= _MIN_LETTERS
    )


def hypotheses_of(*passes: Decoded) -> list[str]:
    """Return the most probable hypotheses of several passes over the same speech.

    Hypotheses with the same words appear once. A hypothesis that is only a truncated version
    of another is left out.
    """
    found: dict[tuple[str, ...], str] = {}
    for decoded in passes:
        for text in (decoded.text, *decoded.alternatives)[:_PER_PASS]:
            if has_words(text):
                found.setdefault(tuple(plain_words(text)), text)
    return [
        text
        for words, text in found.items()
        if not any(
            other[: len(words)] == words and len(other) >= len(words) + _MIN_EXTENSION
            for other, longer in found.items()
            if not has_repeat(longer)
        )
    ]


def rescore(
    first: Decoded,
    scores: Mapping[str, Sequence[float]],
    oov_count: Callable[[str], int],
    weights: Weights,
) -> Decoded:
    """Choose the hypothesis that is the most probable in all passes over the same speech.

    Two passes seldom make the same mistake: a hypothesis that is probable in only one of them
    loses to one that is fairly probable in both.

    Args:
        first: result of the first pass.
        scores: for each hypothesis, its log-probability (natural, whole text) in each pass;
            empty = keep the first pass.
        oov_count: counts the out-of-vocabulary words of a text.
        weights: those of the model and the language.

    Returns:
        The hypotheses, the best first, each with the mean of its log-probabilities. The number of
        tokens and the mean log-probability per token stay those of the first pass.
    """
    if not scores:
        return first

    def value(text: str) -> float:
        return sum(scores[text]) - len(scores[text]) * weights.oov_penalty * oov_count(text)

    text, *others = sorted(scores, key=value, reverse=True)
    means = tuple(sum(scores[each]) / len(scores[each]) for each in (text, *others))
    return replace(first, text=text, alternatives=tuple(others), scores=means)
