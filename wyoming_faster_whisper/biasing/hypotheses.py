"""Texts with a name in them that may have been said instead of what was heard. Pure.

They are for the recogniser: it can tell how likely it holds each, and which was meant
follows from that, from how alike the two sound, and from where the name stands.
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
from .phonetics import READINGS

_NEAR = 5  # texts that are weighed: orders and questions about a name
_NEAR_ELSEWHERE = 2  # others
_BEGINNING = 4  # words
_PLACES = 2  # in which one name is weighed, in those; elsewhere in one
_MIN_SIMILARITY = -6.5  # log odds; the decoder says no to what was not meant
_MIN_SIMILARITY_IN_ORDER = -10.0  # the same of what the decoder is told of, where an order begins
_WRITTEN = 9.0  # the same of a name that was written to the letter
_PER_RANK = -0.25  # of a text, in log odds: what the decoder holds for less likely

# How much likelier than what was heard the decoder must hold a text, in natural logs, and what
# makes it more or less. It may be less likely where it sounds like what was heard, the name like
# what stands there, or another word of the name was heard, and where the decoder was unsure of
# all it heard. It must be likelier the longer the name: the decoder likes what it was told of.
# Words of the language give way less easily; in an order or a question, which are about some
# thing, nearly as easily as others. Fitted as a conditional logistic regression (which of the
# texts was meant?) on bench.speech.homes.TUNING, another home like it, recorded orders and
# sentences made of words like the names.
_BASE_GAIN = 2.9
_PER_ALIKE = -10.6
_PER_SOUND = 0.8
_PER_SOUND_AROUND = -0.5
_PER_SIMILARITY = -0.7
_NAME_WORD = -10.4
_PER_LOGPROB = 3.9
_EDGE = 1.6
_ABOUT = -6.0
# Stricter than the fit outside of orders, by 2 each: "the works will start" is no Worx, and
# "the starkey is", with its little word, no Sparkles.
_KNOWN = 10.0
_KNOWN_ABOUT = -5.0
_EDGE_ELSEWHERE = 2.0

_FEATURES = 3  # of a sound
_EXACT = 2.0  # likeness, in log odds, of a name that was written to the letter


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What may have been said instead of a text."""

    name: str
    text: str  # with the name in it
    min_gain: float  # how much likelier the decoder must hold it than what was heard, natural log


@dataclass(frozen=True, slots=True)
class _NamePlace:
    """Where a name may be meant in some text."""

    name: str
    similarity: float
    function_word_at_edge: bool  # see Candidate
    has_name_word: bool
    words: Sequence[Word]
    first: int  # word
    last: int  # word, not included
    exact: bool = False  # it stands there to the letter

    @property
    def before(self) -> Sequence[Word]:
        return self.words[: self.first]

    @property
    def after(self) -> Sequence[Word]:
        return self.words[self.last :]


def similar_names(home: Corrector, texts: Sequence[str], count: int) -> tuple[str, ...]:
    """The names that something in the texts sounds like, the likeliest first; () for none.

    Args:
        texts: what may have been said, the likeliest first.
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
    """Whether one of the texts begins as an order or a question about some thing does."""
    starts = ([word.text for word in words_of(text)[:_BEGINNING]] for text in texts)
    return any(
        is_order_about(words[:end], home.language)
        for words in starts
        for end in range(1, len(words) + 1)
    )


def words_unlike(home: Corrector, text: str, names: Sequence[str]) -> frozenset[str]:
    """The words of a text that sound like none of these names, nor are a part of what does."""
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
    """Texts with the few names that may have been said; () where none is likely.

    Args:
        hypotheses: what may have been said, the likeliest first.
        biased: what the decoder wrote when it was asked for names. It writes some into any
            sound, so these count only where they say what is done to the name.
        avg_logprob: mean log-probability of the first text: how sure the decoder is of it.
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
    """The text that was meant, None where it is what was heard.

    Args:
        scores: how likely the decoder holds each of them, natural logs.
        unbiased_score: the same for what was heard.
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
    """The same name in the text that was heard, behind the same words.

    With few words at hand the decoder writes what comes behind the name as it can.
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
    """See Rewrite.min_gain.

    What is compared is all that differs from what was heard: the words around the name as
    well, where they were misheard.

    Args:
        said: the text that was heard.
        words: the other text.
        about: whether the words before the name say that it is about some thing.
    """
    if place.first == 0 and not place.has_name_word:
        return math.inf  # no order begins with a name, unless with words of it
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
    sounds = len(phonetic_code(parts, 0)) / _FEATURES
    around = max(0.0, len(phonetic_code(came, 0)) / _FEATURES - sounds)
    least = _BASE_GAIN + _PER_ALIKE * alike + _PER_SOUND * sounds + _PER_SOUND_AROUND * around
    least += _PER_SIMILARITY * place.similarity + _ABOUT * about
    least += (_EDGE if about else _EDGE + _EDGE_ELSEWHERE) * place.function_word_at_edge
    least += _NAME_WORD * any(part in heard for part in parts)
    if known:
        least += _KNOWN + _KNOWN_ABOUT * about
    return least


def _keeps_names(home: Corrector, said: Sequence[Word], words: Sequence[Word]) -> bool:
    """Whether every name that was heard stands there still."""
    left = Counter(name for name, _, _ in home.exact_matches(words))
    return Counter(name for name, _, _ in home.exact_matches(said)) <= left


def _written(place: _NamePlace, texts: Sequence[tuple[str, Sequence[Word]]]) -> str:
    """The name between these words, as the likeliest text that has them writes them."""
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
    raise AssertionError("one of the texts has these words")
