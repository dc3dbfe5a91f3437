"""Rescoring of hypotheses with names: alternative texts, and the choice among them. Pure.

The caller has the decoder score each alternative text. The choice depends on these scores and
on the position of the name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from .candidates import Word, words_of
from .carrier_phrases import follows_carrier
from .correct import Corrector, name_span
from .phonetics import phonetic_code

_MOST_REWRITES = 5  # whose name follows a carrier phrase
_MOST_REWRITES_ELSEWHERE = 2
_BEGINNING = 4  # words searched for a carrier phrase
_MOST_PLACES = 2  # where one name may be inserted after a carrier phrase; elsewhere 1
_MIN_SIMILARITY = -6.5  # log odds; low, because the decoder rejects wrong names
_MIN_SIMILARITY_IN_ORDER = -10.0  # in similar_names(), if a text begins with a carrier phrase
_EXACT_SIMILARITY = 9.0  # log odds of a name that a hypothesis spells exactly
_PER_RANK = -0.25  # log odds per rank of the hypothesis in the n-best list


@dataclass(frozen=True, slots=True)
class Rewrite:
    """An alternative to the first hypothesis, with a name in it."""

    name: str
    text: str  # with the name in it
    min_gain: float  # required score above the first hypothesis, natural log; may be negative


@dataclass(frozen=True, slots=True)
class _NamePlace:
    """A name and the words of a hypothesis that it may replace."""

    name: str
    similarity: float
    has_name_word: bool  # see Candidate
    words: Sequence[Word]
    first: int  # index of the first replaced word
    last: int  # index after the last replaced word

    @property
    def before(self) -> Sequence[Word]:
        return self.words[: self.first]

    @property
    def after(self) -> Sequence[Word]:
        return self.words[self.last :]


def similar_names(home: Corrector, texts: Sequence[str], count: int) -> tuple[str, ...]:
    """Return up to count names that the texts resemble, the most similar first.

    The result is empty unless the best name is similar enough; after a carrier phrase less
    similarity is needed.

    Args:
        texts: n-best list, the most likely first.
    """
    best: dict[str, float] = {}
    for rank, text in enumerate(texts):
        for found in home.candidates(text):
            likely = found.similarity(home.weights.candidate) + _PER_RANK * rank
            best[found.name] = max(likely, best.get(found.name, -math.inf))
    threshold = _MIN_SIMILARITY_IN_ORDER if is_order(home, texts) else _MIN_SIMILARITY
    if max(best.values(), default=-math.inf) <= threshold:
        return ()
    return tuple(sorted(best, key=lambda name: -best[name])[:count])


def is_order(home: Corrector, texts: Sequence[str]) -> bool:
    """Return whether one of the texts begins with a carrier phrase."""
    starts = ([word.text for word in words_of(text)[:_BEGINNING]] for text in texts)
    return any(
        follows_carrier(words[:end], home.language)
        for words in starts
        for end in range(1, len(words) + 1)
    )


def words_unlike(home: Corrector, text: str, names: Sequence[str]) -> frozenset[str]:
    """Return the words of a text outside every run of words that resembles one of the names."""
    words = words_of(text)
    like: set[int] = set()
    for found in home.candidates(text):
        if found.name in names:
            like.update(range(found.first, found.last))
    return frozenset(word.text for at, word in enumerate(words) if at not in like)


def rewrites(
    home: Corrector, hypotheses: Sequence[str], biased: Sequence[str] = ()
) -> tuple[Rewrite, ...]:
    """Return the alternative texts worth scoring; at most 7, often none.

    Rewrites whose name follows a carrier phrase come first.

    Args:
        hypotheses: n-best list, the most likely first.
        biased: hypotheses of the decode that was biased towards names. It puts names into
            any sound, so these count only where the name follows a carrier phrase.
    """
    if not hypotheses:
        return ()
    unbiased_words = words_of(hypotheses[0])
    texts = [(text, words_of(text)) for text in (*hypotheses, *biased)]
    best: dict[str, tuple[float, bool, Rewrite]] = {}
    for at, (text, _) in enumerate(texts):
        rank = at if at < len(hypotheses) else at - len(hypotheses)
        places = list(_places(home, text))
        if at >= len(hypotheses):
            places += [moved for place in places if (moved := _moved(place, unbiased_words))]
        for place in places:
            after_carrier = follows_carrier([word.text for word in place.before], home.language)
            likely = place.similarity + _PER_RANK * rank
            if likely <= _MIN_SIMILARITY or (at >= len(hypotheses) and not after_carrier):
                continue
            written = _written(place, texts)
            if written == hypotheses[0] or not _keeps_names(home, unbiased_words, written):
                continue
            if written not in best or likely > best[written][0]:
                same_words = written.casefold() == hypotheses[0].casefold()
                gain = _min_gain(home, place, favoured=after_carrier or same_words)
                best[written] = likely, after_carrier, Rewrite(place.name, written, gain)
    # The best place of every name comes before the second place of any.
    places_of: Counter[str] = Counter()
    ranked: list[tuple[int, bool, Rewrite]] = []
    for _, after_carrier, rewrite in sorted(best.values(), key=lambda found: -found[0]):
        if places_of[rewrite.name] < (_MOST_PLACES if after_carrier else 1):
            ranked.append((places_of[rewrite.name], after_carrier, rewrite))
            places_of[rewrite.name] += 1
    ranked.sort(key=lambda found: found[0])
    orders = [rewrite for _, after_carrier, rewrite in ranked if after_carrier][:_MOST_REWRITES]
    others = [rewrite for _, after_carrier, rewrite in ranked if not after_carrier][
        :_MOST_REWRITES_ELSEWHERE
    ]
    return (*orders, *others)


def choose_rewrite(
    rewrites: Sequence[Rewrite], scores: Sequence[float], *, unbiased_score: float
) -> Rewrite | None:
    """Return the best rewrite, or None if the first hypothesis should stay.

    Args:
        scores: the decoder's log-probability of each rewrite, natural log.
        unbiased_score: the same for the first hypothesis.
    """
    if not rewrites:
        return None
    scored = list(zip(scores, rewrites, strict=True))
    if max(scored, key=lambda pair: pair[0])[1].min_gain == math.inf:
        return None  # the most likely text begins with a name, which is never accepted
    best, rewrite = max(
        ((score - each.min_gain, each) for score, each in scored), key=lambda pair: pair[0]
    )
    return rewrite if best > unbiased_score else None


def _places(home: Corrector, text: str) -> Iterator[_NamePlace]:
    words = words_of(text)
    for found in home.candidates(text):
        yield _NamePlace(
            found.name,
            found.similarity(home.weights.candidate),
            found.has_name_word,
            words,
            found.first,
            found.last,
        )
    for name, first, last in home.exact_matches(words):
        yield _NamePlace(name, _EXACT_SIMILARITY, False, words, first, last)


def _moved(place: _NamePlace, first_words: Sequence[Word]) -> _NamePlace | None:
    """Move a name from a biased hypothesis to the same place in the first hypothesis.

    The biased decode has a restricted vocabulary, so it garbles the words after the name.
    Returns None if the first hypothesis does not begin with the words before the name.
    """
    before = [word.letters for word in place.before]
    heard = [word.letters for word in first_words]
    if not before or heard[: len(before)] != before or len(heard) == len(before):
        return None
    after = phonetic_code([word.letters for word in place.after])
    last = min(
        range(len(before) + 1, len(heard) + 1),
        key=lambda last: Levenshtein.distance(phonetic_code(heard[last:]), after),
    )
    return replace(place, words=first_words, last=last)


def _min_gain(home: Corrector, place: _NamePlace, *, favoured: bool) -> float:
    """Return Rewrite.min_gain.

    Args:
        favoured: the name follows a carrier phrase, or differs only in case from what was heard.
    """
    if place.first == 0 and not place.has_name_word:
        return math.inf  # commands do not begin with a name, unless a word of it was recognised
    weights = home.weights.rewrite
    return weights.after_carrier if favoured else weights.elsewhere


def _keeps_names(home: Corrector, first_words: Sequence[Word], text: str) -> bool:
    """Return whether the rewrite keeps every name of the first hypothesis."""
    left = Counter(name for name, _, _ in home.exact_matches(words_of(text)))
    return Counter(name for name, _, _ in home.exact_matches(first_words)) <= left


def _written(place: _NamePlace, texts: Sequence[tuple[str, Sequence[Word]]]) -> str:
    """Insert the name, with the words around it as the most likely hypothesis spells them."""
    left, right = [w.letters for w in place.before], [w.letters for w in place.after]
    for text, words in texts:
        plain = [word.letters for word in words]
        between = len(words) - len(left) - len(right)
        if (
            between > 0
            and plain[: len(left)] == left
            and plain[len(plain) - len(right) :] == right
        ):
            replaced = words[len(left) : len(left) + between]
            start, end = name_span(text, replaced, place.name)
            return text[:start] + place.name + text[end:]
    raise AssertionError("no hypothesis has the words around the name")
