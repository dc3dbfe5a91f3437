"""Names that were misheard, put right. Pure.

A recogniser that does not know "Ecobee" writes down what it sounds like:
"incubi", "eco be". Every few words of a text are compared, by sound and by
spelling, with every name of the home. Whether the name was meant is weighed
as a judge would: each sound that agrees speaks for it, each that is missing
against it, and the more so the more common the words are that stand there.
So "incubi" becomes "Ecobee", while "light" stays "light" beside a "Lyte".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from .candidates import EVERYDAY_ZIPF, Candidate, Word, words_of
from .lexicon import zipf_frequencies
from .phonetics import READINGS, letters, phonetic_features

_STOP = re.compile(r"[.!?;:。！？]")  # between two words: no name goes on behind it
_PAUSE = re.compile(r"[,.!?;:]\s")
_MIN_SIMILARITY = 0.5  # in sound; below it nothing else could make up for it
_MORE_WORDS = 2  # than the name has: "net at mode" for "Netatmo"
_LONGEST_NAME = 6  # words; longer ones are told apart by any few of them
_LONGEST_TEXT = 400  # words; of a dictation the rest is left alone

_EDGE_WORD_ZIPF = 6.2  # commonness of "on", "the", "to"
_NAME_WORD_ZIPF = 5.0  # commonness of a word that some name has


class Corrector:
    """Knows the names of a home. Costs milliseconds for a sentence and 200 names.

    Args:
        names: as they should be written; the first of two alike wins.
        language: Whisper's code. Where we know no words of it, nothing is changed.
    """

    def __init__(self, names: Sequence[str], language: str = "en") -> None:
        self.language = language
        self._zipf = zipf_frequencies(language)
        self._everyday = tuple(
            word for word, common in self._zipf.items() if common > EVERYDAY_ZIPF
        )
        known: dict[tuple[str, ...], str] = {}
        for name in names:
            parts = name_words(name)
            if 0 < len(parts) <= _LONGEST_NAME:
                known.setdefault(parts, name)
        self._names = known
        self._parts = list(known)
        self.words = frozenset(word for name in known.values() for word in name.split())
        self._spoken_words = {word for parts in known for word in parts}
        self._codes = [
            phonetic_code(parts, reading) for reading in range(READINGS) for parts in self._parts
        ]
        self._most_words = max(map(len, known), default=0) + _MORE_WORDS

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

    def exact_matches(self, words: Sequence[Word]) -> Iterator[tuple[str, int, int]]:
        """Names that stand there to the letter, with the first word and the one behind the last.

        The longest of those that begin at a word.
        """
        plain = [word.letters for word in words]
        done = 0
        for first in range(len(plain)):
            for last in range(min(len(plain), first + _LONGEST_NAME), first, -1):
                if first >= done and (name := self._names.get(tuple(plain[first:last]))):
                    yield name, first, last
                    done = last
                    break

    def _misspells(self, candidate: Candidate, words: Sequence[Word]) -> bool:
        """Whether an everyday word stands between what is written and the name.

        "expresso" is an espresso, which only then is like a Nespresso; while "valant",
        a letter from "valiant" as well, is no further from Vaillant than that is.
        """
        name = name_words(candidate.name)
        return len(name) == 1 and any(
            not self.zipf_frequency(word.text) and _between(word.letters, name[0], self._everyday)
            for word in words[candidate.first : candidate.last]
        )

    def _misspelt(self, text: str, words: Sequence[Word]) -> Iterator[tuple[int, int, str]]:
        """Where a name stands, to the letter, but not to the sign: "wifi" for "Wi-Fi"."""
        for name, first, last in self.exact_matches(words):
            start, end = words[first].start, words[last - 1].end
            written = text[start:end]
            everyday = self.zipf_frequency(written) > EVERYDAY_ZIPF and last - first == 1
            if (
                not everyday
                and not _PAUSE.search(written)
                and written.casefold() != name.casefold()
            ):
                yield start, end, name

    def candidates(self, text: str) -> Iterator[Candidate]:
        """Every name that any few words of the text are somewhat like."""
        words = words_of(text)[:_LONGEST_TEXT]
        if not self._zipf or not self._parts or not words:
            return
        plain = [word.letters for word in words]
        free = self._free(words)
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
            [phonetic_code(plain[first:last], 0) for first, last in spans],
            self._codes,
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=_MIN_SIMILARITY,
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

    def _free(self, words: Sequence[Word]) -> list[bool]:
        """Which words may be changed: no numbers, and no part of a name that is right."""
        free = [not any(c.isdigit() for c in word.letters) for word in words]
        for _, first, last in self.exact_matches(words):
            free[first:last] = [False] * (last - first)
        return free

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
        before = common_prefix(heard, parts)
        after = common_prefix(heard[before:][::-1], parts[before:][::-1])
        wrong, right = heard[before : len(heard) - after], parts[before : len(parts) - after]
        if not wrong or not right:
            return  # a word too many or too few is no mishearing
        alike = max(
            Levenshtein.normalized_similarity(
                phonetic_code(wrong, 0), phonetic_code(right, reading)
            )
            for reading in range(READINGS)
        )
        if alike < _MIN_SIMILARITY:
            return
        sounds = len(phonetic_code(right, 0)) / 3  # three features a sound
        common = [
            self.zipf_frequency(words[at].text) for at in range(first + before, last - after)
        ]
        yield Candidate(
            name=self._names[parts],
            first=first,
            last=last,
            sounds=sounds,
            missed=sounds * (1 - alike),
            spelling=Levenshtein.normalized_similarity("".join(wrong), "".join(right)),
            zipf=min(common),
            split=len(wrong) > len(right),
            has_name_word=before + after > 0,
            function_word_at_edge=len(wrong) > 1 and max(common[0], common[-1]) > _EDGE_WORD_ZIPF,
        )

    def zipf_frequency(self, word: str) -> float:
        small = word.casefold().replace("’", "'")
        forms = (small, small.removesuffix("'s"), letters(word))
        known = max(self._zipf.get(form, 0.0) for form in forms)
        return max(known, _NAME_WORD_ZIPF) if letters(word) in self._spoken_words else known


def name_words(text: str) -> tuple[str, ...]:
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


def phonetic_code(parts: Sequence[str], reading: int) -> str:
    return "".join(phonetic_features(part, reading) for part in parts)


def common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


@lru_cache(maxsize=8)
def corrector(names: tuple[str, ...], language: str) -> Corrector:
    """The one for these names; made once."""
    return Corrector(names, language)
