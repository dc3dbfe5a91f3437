"""Rescoring of hypotheses with names: alternative texts, and the choice among them. Pure.

The caller has the decoder score each alternative text. The choice depends on these scores,
on how similar the alternative sounds to the first hypothesis, and on the position of the
name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from .candidates import Word, words_of
from .carrier_phrases import is_order_about
from .correct import Corrector, common_prefix, name_words, phonetic_code
from .phonetics import FEATURES_PER_SOUND, READINGS

_NEAR = 5  # maximum rewrites whose name follows a carrier phrase
_NEAR_ELSEWHERE = 2  # maximum other rewrites
_BEGINNING = 4  # words searched for a carrier phrase
_PLACES = 2  # maximum places for one name after a carrier phrase; elsewhere 1
_MIN_SIMILARITY = -6.5  # log odds; low, because the decoder rejects wrong names
_MIN_SIMILARITY_IN_ORDER = -10.0  # in similar_names(), if a text begins with a carrier phrase
_WRITTEN = 9.0  # log odds, for ranking, of a name that a hypothesis spells exactly
_PER_RANK = -0.25  # log odds per rank of the hypothesis in the n-best list

# Weights of Rewrite.min_gain, in natural-log units of the decoder's score. The required gain is
# lower if the rewrite sounds like the first hypothesis, if the name sounds like the words it
# replaces, if another word of the name was recognised, and if the first hypothesis has a low
# avg_logprob. It is higher for long names, because biasing makes the decoder favour them, and for
# replacing words of the language, though hardly so after a carrier phrase. Fitted as a
# conditional logistic regression (which of the texts was spoken?) on bench.speech.homes.TUNING, a
# second home like it, recorded orders, and sentences of words that sound like the names; see
# docs/names.md.
_BASE_GAIN = 2.9
_PER_ALIKE = -10.6
_PER_SOUND = 0.8
_PER_SOUND_AROUND = -0.5
_PER_SIMILARITY = -0.7
_NAME_WORD = -10.4
_PER_LOGPROB = 3.9
_EDGE = 1.6
_ABOUT = -6.0
# Outside of carrier phrases each is 2 stricter than the fit: "the works will start" does not mean
# a Worx, and "the starkey is", with its function word, does not mean Sparkles.
_KNOWN = 10.0
_KNOWN_ABOUT = -5.0
_EDGE_ELSEWHERE = 2.0

_EXACT = 2.0  # similarity, for min_gain, of a name that a hypothesis spells exactly


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
    function_word_at_edge: bool  # see Candidate
    has_name_word: bool
    words: Sequence[Word]
    first: int  # index of the first replaced word
    last: int  # index after the last replaced word
    exact: bool = False  # the hypothesis spells the name exactly

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
            likely = found.similarity + _PER_RANK * rank
            best[found.name] = max(likely, best.get(found.name, -math.inf))
    least = _MIN_SIMILARITY_IN_ORDER if is_order(home, texts) else _MIN_SIMILARITY
    if max(best.values(), default=-math.inf) <= least:
        return ()
    return tuple(sorted(best, key=lambda name: -best[name])[:count])


def is_order(home: Corrector, texts: Sequence[str]) -> bool:
    """Return whether one of the texts begins with a carrier phrase."""
    starts = ([word.text for word in words_of(text)[:_BEGINNING]] for text in texts)
    return any(
        is_order_about(words[:end], home.language)
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
    home: Corrector,
    hypotheses: Sequence[str],
    biased: Sequence[str] = (),
    *,
    avg_logprob: float = 0.0,
) -> tuple[Rewrite, ...]:
    """Return the alternative texts worth scoring; at most 7, often none.

    Rewrites whose name follows a carrier phrase come first.

    Args:
        hypotheses: n-best list, the most likely first.
        biased: hypotheses of the decode that was biased towards names. It puts names into
            any sound, so these count only where the name follows a carrier phrase.
        avg_logprob: mean log-probability per token of the first hypothesis.
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
            about = is_order_about((word.text for word in place.before), home.language)
            likely = (_WRITTEN if place.exact else place.similarity) + _PER_RANK * rank
            if likely <= _MIN_SIMILARITY or (at >= len(hypotheses) and not about):
                continue
            written = _written(place, texts)
            words = words_of(written)
            if written == hypotheses[0] or not _keeps_names(home, unbiased_words, words):
                continue
            if written not in best or likely > best[written][0]:
                least = _min_gain(home, place, unbiased_words, words, about=about)
                least += _PER_LOGPROB * avg_logprob
                best[written] = likely, about, Rewrite(place.name, written, least)
    turns: Counter[str] = Counter()
    ranked: list[tuple[int, bool, Rewrite]] = []
    for _, about, rewrite in sorted(best.values(), key=lambda found: -found[0]):
        if turns[rewrite.name] < (_PLACES if about else 1):
            ranked.append((turns[rewrite.name], about, rewrite))
            turns[rewrite.name] += 1
    ranked.sort(key=lambda found: found[0])
    orders = [rewrite for _, about, rewrite in ranked if about][:_NEAR]
    others = [rewrite for _, about, rewrite in ranked if not about][:_NEAR_ELSEWHERE]
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
    weighed = list(zip(scores, rewrites, strict=True))
    if max(weighed, key=lambda pair: pair[0])[1].min_gain == math.inf:
        return None
    surest, rewrite = max(
        ((likely - each.min_gain, each) for likely, each in weighed), key=lambda pair: pair[0]
    )
    return rewrite if surest > unbiased_score else None


def _places(home: Corrector, text: str) -> Iterator[_NamePlace]:
    words = words_of(text)
    for found in home.candidates(text):
        yield _NamePlace(
            found.name,
            found.similarity,
            found.function_word_at_edge,
            found.has_name_word,
            words,
            found.first,
            found.last,
        )
    for name, first, last in home.exact_matches(words):
        yield _NamePlace(name, _EXACT, False, False, words, first, last, exact=True)


def _moved(place: _NamePlace, said: Sequence[Word]) -> _NamePlace | None:
    """Move a name from a biased hypothesis to the same place in the first hypothesis.

    The biased decode has a restricted vocabulary, so it garbles the words after the name.
    Returns None if the first hypothesis does not begin with the words before the name.
    """
    before = [word.letters for word in place.before]
    heard = [word.letters for word in said]
    if not before or heard[: len(before)] != before or len(heard) == len(before):
        return None
    behind = phonetic_code([word.letters for word in place.after], 0)
    last = min(
        range(len(before) + 1, len(heard) + 1),
        key=lambda last: Levenshtein.distance(phonetic_code(heard[last:], 0), behind),
    )
    return replace(place, words=said, last=last)


def _min_gain(
    home: Corrector,
    place: _NamePlace,
    said: Sequence[Word],
    words: Sequence[Word],
    *,
    about: bool,
) -> float:
    """Compute Rewrite.min_gain.

    All words that differ are compared, also misrecognised words around the name.

    Args:
        said: words of the first hypothesis.
        words: words of the rewrite.
        about: whether the name follows a carrier phrase.
    """
    if place.first == 0 and not place.has_name_word:
        return math.inf  # commands do not begin with a name, unless a word of it was recognised
    heard, other = [word.letters for word in said], [word.letters for word in words]
    before = common_prefix(heard, other)
    after = common_prefix(heard[before:][::-1], other[before:][::-1])
    gone, came = heard[before : len(heard) - after], other[before : len(other) - after]
    alike = max(
        Levenshtein.normalized_similarity(phonetic_code(gone, 0), phonetic_code(came, reading))
        for reading in range(READINGS)
    )
    gone_words = said[before : len(said) - after]
    known = bool(gone) and all(home.zipf_frequency(word.text) for word in gone_words)
    parts = name_words(place.name)
    sounds = len(phonetic_code(parts, 0)) / FEATURES_PER_SOUND
    around = max(0.0, len(phonetic_code(came, 0)) / FEATURES_PER_SOUND - sounds)
    least = _BASE_GAIN + _PER_ALIKE * alike + _PER_SOUND * sounds + _PER_SOUND_AROUND * around
    least += _PER_SIMILARITY * place.similarity + _ABOUT * about
    least += (_EDGE if about else _EDGE + _EDGE_ELSEWHERE) * place.function_word_at_edge
    least += _NAME_WORD * any(part in heard for part in parts)
    if known:
        least += _KNOWN + _KNOWN_ABOUT * about
    return least


def _keeps_names(home: Corrector, said: Sequence[Word], words: Sequence[Word]) -> bool:
    """Return whether the rewrite keeps every name of the first hypothesis."""
    left = Counter(name for name, _, _ in home.exact_matches(words))
    return Counter(name for name, _, _ in home.exact_matches(said)) <= left


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
            start, end = words[len(left)].start, words[len(left) + between - 1].end
            return text[:start] + place.name + text[end:]
    raise AssertionError("no hypothesis has the words around the name")
