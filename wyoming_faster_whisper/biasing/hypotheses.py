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
from .carrier_phrases import is_about
from .correct import Corrector, code, parts_of, same
from .phonetics import READINGS

_NEAR = 5  # texts that are weighed: orders and questions about a name
_NEAR_ELSEWHERE = 2  # others
_BEGINNING = 4  # words
_PLACES = 2  # in which one name is weighed, in those; elsewhere in one
_WORTH_WEIGHING = -6.5  # log odds; the decoder says no to what was not meant
_ASKABLE = -10.0  # the same of what the decoder is told of, where an order begins
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
_LEAST = 2.9
_PER_ALIKE = -10.6
_PER_SOUND = 0.8
_PER_SOUND_AROUND = -0.5
_PER_LIKENESS = -0.7
_ANCHORED = -10.4
_PER_SURE = 3.9
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
    least: float  # how much likelier the decoder must hold it than what was heard, natural log


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a name may be meant in some text."""

    name: str
    likeness: float
    edge: bool  # see Candidate
    anchored: bool
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


def names_like(home: Corrector, texts: Sequence[str], count: int) -> tuple[str, ...]:
    """The names that something in the texts sounds like, the likeliest first; () for none.

    Args:
        texts: what may have been said, the likeliest first.
    """
    best: dict[str, float] = {}
    for rank, text in enumerate(texts):
        for found in home.candidates(text):
            likely = found.likeness + _PER_RANK * rank
            best[found.name] = max(likely, best.get(found.name, -math.inf))
    least = _ASKABLE if is_order(home, texts) else _WORTH_WEIGHING
    if max(best.values(), default=-math.inf) <= least:
        return ()
    return tuple(sorted(best, key=lambda name: -best[name])[:count])


def is_order(home: Corrector, texts: Sequence[str]) -> bool:
    """Whether one of the texts begins as an order or a question about some thing does."""
    starts = ([word.text for word in words_of(text)[:_BEGINNING]] for text in texts)
    return any(
        is_about(words[:end], home.language)
        for words in starts
        for end in range(1, len(words) + 1)
    )


def unlike(home: Corrector, text: str, names: Sequence[str]) -> frozenset[str]:
    """The words of a text that sound like none of these names, nor are a part of what does."""
    words = words_of(text)
    like: set[int] = set()
    for found in home.candidates(text):
        if found.name in names:
            like.update(range(found.first, found.last))
    return frozenset(word.text for at, word in enumerate(words) if at not in like)


def rewrites(
    home: Corrector, heard: Sequence[str], asked: Sequence[str] = (), *, sure: float = 0.0
) -> tuple[Rewrite, ...]:
    """Texts with the few names that may have been said; () where none is likely.

    Args:
        heard: what may have been said, the likeliest first.
        asked: what the decoder wrote when it was asked for names. It writes some into any
            sound, so these count only where they say what is done to the name.
        sure: how sure the decoder is of the first text, mean log-probability of its tokens.
    """
    if not heard:
        return ()
    said = words_of(heard[0])
    texts = [(text, words_of(text)) for text in (*heard, *asked)]
    best: dict[str, tuple[float, bool, Rewrite]] = {}
    for at, (text, _) in enumerate(texts):
        rank = at if at < len(heard) else at - len(heard)
        places = list(_places(home, text))
        if at >= len(heard):
            places += [moved for place in places if (moved := _moved(place, said))]
        for place in places:
            about = is_about((word.text for word in place.before), home.language)
            likely = (_WRITTEN if place.exact else place.likeness) + _PER_RANK * rank
            if likely <= _WORTH_WEIGHING or (at >= len(heard) and not about):
                continue
            written = _written(place, texts)
            words = words_of(written)
            if written == heard[0] or not _keeps_names(home, said, words):
                continue
            if written not in best or likely > best[written][0]:
                least = _least(home, place, said, words, about=about)
                least += _PER_SURE * sure
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


def chosen(
    rewrites: Sequence[Rewrite], likely: Sequence[float], *, heard: float
) -> Rewrite | None:
    """The text that was meant, None where it is what was heard.

    Args:
        likely: how likely the decoder holds each of them, natural logs.
        heard: the same for what was heard.
    """
    if not rewrites:
        return None
    weighed = list(zip(likely, rewrites, strict=True))
    if max(weighed, key=lambda pair: pair[0])[1].least == math.inf:
        return None
    surest, rewrite = max(
        ((likely - each.least, each) for likely, each in weighed), key=lambda pair: pair[0]
    )
    return rewrite if surest > heard else None


def _places(home: Corrector, text: str) -> Iterator[_Place]:
    words = words_of(text)
    for found in home.candidates(text):
        yield _Place(
            found.name, found.likeness, found.edge, found.anchored, words, found.first, found.last
        )
    for name, first, last in home.exact(words):
        yield _Place(name, _EXACT, False, False, words, first, last, exact=True)


def _moved(place: _Place, said: Sequence[Word]) -> _Place | None:
    """The same name in the text that was heard, behind the same words.

    With few words at hand the decoder writes what comes behind the name as it can.
    """
    before = [word.letters for word in place.before]
    heard = [word.letters for word in said]
    if not before or heard[: len(before)] != before or len(heard) == len(before):
        return None
    behind = code([word.letters for word in place.after], 0)
    last = min(
        range(len(before) + 1, len(heard) + 1),
        key=lambda last: Levenshtein.distance(code(heard[last:], 0), behind),
    )
    return replace(place, words=said, last=last)


def _least(
    home: Corrector, place: _Place, said: Sequence[Word], words: Sequence[Word], *, about: bool
) -> float:
    """See Rewrite.least.

    What is compared is all that differs from what was heard: the words around the name as
    well, where they were misheard.

    Args:
        said: the text that was heard.
        words: the other text.
        about: whether the words before the name say that it is about some thing.
    """
    if place.first == 0 and not place.anchored:
        return math.inf  # no order begins with a name, unless with words of it
    heard, other = [word.letters for word in said], [word.letters for word in words]
    before = same(heard, other)
    after = same(heard[before:][::-1], other[before:][::-1])
    gone, came = heard[before : len(heard) - after], other[before : len(other) - after]
    alike = max(
        Levenshtein.normalized_similarity(code(gone, 0), code(came, reading))
        for reading in range(READINGS)
    )
    gone_words = said[before : len(said) - after]
    known = bool(gone) and all(home.commonness(word.text) for word in gone_words)
    parts = parts_of(place.name)
    sounds = len(code(parts, 0)) / _FEATURES
    around = max(0.0, len(code(came, 0)) / _FEATURES - sounds)
    least = _LEAST + _PER_ALIKE * alike + _PER_SOUND * sounds + _PER_SOUND_AROUND * around
    least += _PER_LIKENESS * place.likeness + _ABOUT * about
    least += (_EDGE if about else _EDGE + _EDGE_ELSEWHERE) * place.edge
    least += _ANCHORED * any(part in heard for part in parts)
    if known:
        least += _KNOWN + _KNOWN_ABOUT * about
    return least


def _keeps_names(home: Corrector, said: Sequence[Word], words: Sequence[Word]) -> bool:
    """Whether every name that was heard stands there still."""
    left = Counter(name for name, _, _ in home.exact(words))
    return Counter(name for name, _, _ in home.exact(said)) <= left


def _written(place: _Place, texts: Sequence[tuple[str, Sequence[Word]]]) -> str:
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
