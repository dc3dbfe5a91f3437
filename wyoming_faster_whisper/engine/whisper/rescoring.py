"""Rescoring of the n-best hypotheses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from .hallucination import Decoded, has_words
from .repetition import has_repeat, plain_words

# By how much less likely a text is for each word in it that is none, natural log. With 1 nearly
# as many recorded orders are right as with 2 to 4, among which there is nothing to choose.
_OOV_PENALTY = 2.0

# Words by which another hypothesis is longer than one that breaks off.
_MIN_EXTENSION = 2

_PER_PASS = 3  # texts of one pass; with all five of a beam no more orders are right


def prefer_in_vocabulary(decoded: Decoded, oov_count: Callable[[str], int]) -> Decoded:
    """What was heard, in words that there are, where the decoder holds that for likely too.

    A small model spells what it did not understand ("a double-shot moco", "medium-ro"), while
    one of its next likely texts has the word ("mocha", "medium roast").

    Args:
        oov_count: how many words of a text are none.

    Returns:
        The texts with the better one first; the figures stay those of the first.
    """
    count = oov_count(decoded.text)
    if not count or not decoded.scores:
        return decoded
    texts = (decoded.text, *decoded.alternatives)

    def value(at: int) -> float:
        return decoded.scores[at] - _OOV_PENALTY * oov_count(texts[at])

    fewer = [at for at, text in enumerate(texts) if text and oov_count(text) < count]
    best = max((0, *fewer), key=value)
    order = [best, *(at for at in range(len(texts)) if at != best)]
    text, *others = (texts[at] for at in order)
    return replace(
        decoded,
        text=text,
        alternatives=tuple(others),
        scores=tuple(decoded.scores[at] for at in order),
    )


def hypotheses_of(*passes: Decoded) -> list[str]:
    """Return the likeliest hypotheses of each pass over the same speech, each text once.

    A text that only breaks off another is left out: the decoder holds the end of the text for
    likely after every sentence, whether or not there is more to hear.
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
    first: Decoded, scores: Mapping[str, Sequence[float]], oov_count: Callable[[str], int]
) -> Decoded:
    """Of the texts of two passes over the same speech, the one that both hold for likely.

    What one pass mistook the other seldom mistakes in the same way: a text that is only likely
    in one of them loses to one that is fairly likely in both.

    Args:
        first: what the first pass gave; its figures stay.
        scores: by text, how likely each pass holds it, all of it, natural log.
        oov_count: how many words of a text are none.
    """
    if not scores:
        return first

    def value(text: str) -> float:
        return sum(scores[text]) - len(scores[text]) * _OOV_PENALTY * oov_count(text)

    text, *others = sorted(scores, key=value, reverse=True)
    return replace(first, text=text, alternatives=tuple(others), scores=())
