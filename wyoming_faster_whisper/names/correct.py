"""Names that were misheard, put right. Pure.

A recogniser that does not know "Ecobee" writes down what it sounds like:
"incubi", "eco be". Every few words of a text are compared, by sound and by
spelling, with every name of the home. Whether the name was meant is weighed
as a judge would: each sound that agrees speaks for it, each that is missing
against it, and the more so the more common the words are that stand there.
So "incubi" becomes "Ecobee", while "light" stays "light" beside a "Lyte".
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from .candidate import EVERYDAY_WORD, Candidate, Word, words_of
from .orders import is_order
from .sound import READINGS, features, letters
from .words import commonness

_STOP = re.compile(r"[.!?;:。！？]")  # between two words: no name goes on behind it
_PAUSE = re.compile(r"[,.!?;:]\s")
_LEAST_ALIKE = 0.5  # in sound; below it nothing else could make up for it
_MORE_WORDS = 2  # than the name has: "net at mode" for "Netatmo"
_NEAR = 6  # texts that are weighed together; of 12 hardly one more is right
_PLACES = 3  # in which one name is weighed
_WORTH_WEIGHING = -6.0  # log odds; the decoder says no to what was not meant
_PER_RANK = -0.25  # of a text, in log odds: what the decoder holds for less likely
_LONGEST_NAME = 6  # words; longer ones are told apart by any few of them
_LONGEST_TEXT = 400  # words; of a dictation the rest is left alone

_LITTLE_WORD = 6.2  # commonness of "on", "the", "to"
_IN_A_NAME = 5.0  # commonness of a word that some name has


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What may have been said instead of a text."""

    name: str
    text: str  # with the name in the place of what sounds like it
    least: float  # how much likelier the decoder must hold it than what was heard, natural log


class Corrector:
    """Knows the names of a home. Costs milliseconds for a sentence and 200 names.

    Args:
        names: as they should be written; the first of two alike wins.
        language: Whisper's code. Where we know no words of it, nothing is changed.
    """

    def __init__(self, names: Sequence[str], language: str = "en") -> None:
        self._language = language
        self._common = commonness(language)
        self._everyday = tuple(
            word for word, common in self._common.items() if common > EVERYDAY_WORD
        )
        known: dict[tuple[str, ...], str] = {}
        for name in names:
            parts = _parts(name)
            if 0 < len(parts) <= _LONGEST_NAME:
                known.setdefault(parts, name)
        self._names = known
        self._parts = list(known)
        self._spoken_words = {word for parts in known for word in parts}
        self._codes = [
            _code(parts, reading) for reading in range(READINGS) for parts in self._parts
        ]
        self._most_words = max(map(len, known), default=0) + _MORE_WORDS

    def rewrites(self, texts: Sequence[str]) -> tuple[Rewrite, ...]:
        """Texts with the few names that may have been said; () where none is likely.

        They are for the recogniser: it can tell how likely it holds each.

        Args:
            texts: what may have been said, the likeliest first.
        """
        heard = [(text, words_of(text)) for text in texts]
        best: dict[tuple[str, str], tuple[float, bool, Rewrite]] = {}
        for rank, (text, words) in enumerate(heard):
            for found in self.candidates(text):
                likely = found.likeness + _PER_RANK * rank
                if likely <= _WORTH_WEIGHING:
                    continue
                written = _written(found.name, words[: found.first], words[found.last :], heard)
                order = is_order((word.text for word in words[: found.first]), self._language)
                rewrite = Rewrite(found.name, written, found.least(order=order))
                if (found.name, written) not in best or likely > best[found.name, written][0]:
                    best[found.name, written] = likely, order, rewrite
        # Where there is room an order is weighed with a name in its second place as well. In
        # other texts that would be one more chance to err.
        turns: Counter[str] = Counter()
        ranked: list[tuple[int, Rewrite]] = []
        for _, order, rewrite in sorted(best.values(), key=lambda found: -found[0]):
            turn = turns[rewrite.name]
            if turn == 0 or (order and turn < _PLACES):
                turns[rewrite.name] += 1
                ranked.append((turn, rewrite))
        ranked.sort(key=lambda found: found[0])
        return tuple(rewrite for _, rewrite in ranked[:_NEAR])

    def correct(self, text: str) -> str:
        """The text with every name that was nearly said written as it should be."""
        words = words_of(text)
        chosen: list[Candidate] = []
        for candidate in sorted(
            self.candidates(text), key=lambda found: found.evidence, reverse=True
        ):
            if candidate.evidence <= 0:
                break
            if not self._misspells(candidate, words) and all(
                candidate.last <= other.first or other.last <= candidate.first for other in chosen
            ):
                chosen.append(candidate)
        changes = [
            (words[found.first].start, words[found.last - 1].end, found.name) for found in chosen
        ]
        for start, end, name in sorted([*changes, *self._misspelt(text, words)], reverse=True):
            text = text[:start] + name + text[end:]
        return text

    def _misspells(self, candidate: Candidate, words: Sequence[Word]) -> bool:
        """Whether an everyday word stands between what is written and the name.

        "expresso" is an espresso, which only then is like a Nespresso; while "valant",
        a letter from "valiant" as well, is no further from Vaillant than that is.
        """
        name = _parts(candidate.name)
        return len(name) == 1 and any(
            not self._commonness(word.text) and _between(word.letters, name[0], self._everyday)
            for word in words[candidate.first : candidate.last]
        )

    def _misspelt(self, text: str, words: Sequence[Word]) -> Iterator[tuple[int, int, str]]:
        """Where a name stands, to the letter, but not to the sign: "wifi" for "Wi-Fi"."""
        plain = [word.letters for word in words]
        for first, last in self._exact(plain):
            start, end = words[first].start, words[last - 1].end
            written, name = text[start:end], self._names[tuple(plain[first:last])]
            everyday = self._commonness(written) > EVERYDAY_WORD and last - first == 1
            if (
                not everyday
                and not _PAUSE.search(written)
                and written.casefold() != name.casefold()
            ):
                yield start, end, name

    def candidates(self, text: str) -> Iterator[Candidate]:
        """Every name that any few words of the text are somewhat like."""
        words = words_of(text)[:_LONGEST_TEXT]
        if not self._common or not self._parts or not words:
            return
        plain = [word.letters for word in words]
        free = self._free(plain)
        stops = {
            at
            for at, (word, following) in enumerate(pairwise(words), start=1)
            if _STOP.search(text, word.end, following.start)
        }
        spans = [
            (first, last)
            for first in range(len(words))
            for last in range(first + 1, min(len(words), first + self._most_words) + 1)
            if all(free[first:last]) and stops.isdisjoint(range(first + 1, last))
        ]
        if not spans:
            return
        alike = process.cdist(
            [_code(plain[first:last], 0) for first, last in spans],
            self._codes,
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=_LEAST_ALIKE,
        )
        # By either reading, so once at most for each name.
        pairs = {
            (row, column % len(self._parts)) for row, column in zip(*alike.nonzero(), strict=True)
        }
        for row, column in sorted(pairs):
            parts = self._parts[column]
            first, last = spans[row]
            if last - first <= len(parts) + _MORE_WORDS:
                yield from self._weigh(words, plain, first, last, parts)

    def _free(self, plain: Sequence[str]) -> list[bool]:
        """Which words may be changed: no numbers, and no part of a name that is right."""
        free = [not any(c.isdigit() for c in word) for word in plain]
        for first, last in self._exact(plain):
            free[first:last] = [False] * (last - first)
        return free

    def _exact(self, plain: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Where names stand to the letter; the longest of those that begin at a word."""
        done = 0
        for first in range(len(plain)):
            for last in range(min(len(plain), first + _LONGEST_NAME), first, -1):
                if first >= done and tuple(plain[first:last]) in self._names:
                    yield first, last
                    done = last
                    break

    def _weigh(
        self,
        words: Sequence[Word],
        plain: Sequence[str],
        first: int,
        last: int,
        parts: tuple[str, ...],
    ) -> Iterator[Candidate]:
        """Compare what differs, leaving out the words that are right at either end."""
        heard = plain[first:last]
        before = _same(heard, parts)
        after = _same(heard[before:][::-1], parts[before:][::-1])
        wrong, right = heard[before : len(heard) - after], parts[before : len(parts) - after]
        if not wrong or not right:
            return  # a word too many or too few is no mishearing
        alike = max(
            Levenshtein.normalized_similarity(_code(wrong, 0), _code(right, reading))
            for reading in range(READINGS)
        )
        if alike < _LEAST_ALIKE:
            return
        sounds = len(_code(right, 0)) / 3  # three features a sound
        common = [self._commonness(words[at].text) for at in range(first + before, last - after)]
        yield Candidate(
            name=self._names[parts],
            first=first,
            last=last,
            sounds=sounds,
            missed=sounds * (1 - alike),
            spelling=Levenshtein.normalized_similarity("".join(wrong), "".join(right)),
            common=min(common),
            split=len(wrong) > len(right),
            anchored=before + after > 0,
            edge=len(wrong) > 1 and max(common[0], common[-1]) > _LITTLE_WORD,
        )

    def _commonness(self, word: str) -> float:
        small = word.casefold().replace("’", "'")
        forms = (small, small.removesuffix("'s"), letters(word))
        known = max(self._common.get(form, 0.0) for form in forms)
        return max(known, _IN_A_NAME) if letters(word) in self._spoken_words else known


def _written(
    name: str,
    before: Sequence[Word],
    after: Sequence[Word],
    heard: Sequence[tuple[str, Sequence[Word]]],
) -> str:
    """The name between these words, as the likeliest text that has them writes them."""
    left, right = [word.letters for word in before], [word.letters for word in after]
    for text, words in heard:
        plain = [word.letters for word in words]
        between = len(words) - len(left) - len(right)
        if (
            between > 0
            and plain[: len(left)] == left
            and plain[len(plain) - len(right) :] == right
        ):
            start, end = words[len(left)].start, words[len(left) + between - 1].end
            return text[:start] + name + text[end:]
    raise AssertionError("one of the texts has these words")


def _parts(text: str) -> tuple[str, ...]:
    return tuple(word.letters for word in words_of(text))


def _between(written: str, name: str, plain: Sequence[str]) -> bool:
    """Whether one of the plain words is a letter from the written one, on its way to the name."""
    far = Levenshtein.distance(written, name)
    return any(
        Levenshtein.distance(word, name) == far - 1
        for word, _, _ in process.extract_iter(
            written, plain, scorer=Levenshtein.distance, score_cutoff=1
        )
    )


def _code(parts: Sequence[str], reading: int) -> str:
    return "".join(features(part, reading) for part in parts)


def _same(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


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


@lru_cache(maxsize=8)
def corrector(names: tuple[str, ...], language: str) -> Corrector:
    """The one for these names; made once."""
    return Corrector(names, language)
