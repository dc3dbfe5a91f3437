"""Correction of misrecognised names in a text, by sound and spelling. Pure.

A recogniser that does not know "Ecobee" writes words that sound like it, such as "eco
bee". The corrector compares every short run of words with every name of the home. Each
matching sound adds evidence for the name, each missing sound subtracts some, and common
words need more evidence than rare ones. So "eco bee" becomes "Ecobee", while "light"
remains "light" in a home that has a "Lyte". Resemblances too weak for this ("incubi") are
left to rescoring by the decoder (hypotheses.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from .candidates import EVERYDAY_ZIPF, Candidate, Word, words_of
from .carrier_phrases import carrier_words
from .lexicon import FUNCTION_WORD_ZIPF, zipf_frequencies
from .phonetics import letters, phonetic_code
from .tenant_cache import TenantCache
from .weights import NameWeights

_STOP = re.compile(r"[.!?;:。！？]")  # between two words; a name does not continue past it
_PAUSE = re.compile(r"[,.!?;:]\s")
_MIN_SIMILARITY = 0.5  # phonetic, 0 to 1; no other evidence outweighs a lower one
_EXTRA_WORDS = 2  # at most that the text has more than the name: "net at mode" for "Netatmo"
_LONGEST_NAME = 6  # words; longer names are ignored
_LONGEST_TEXT = 400  # words; the rest of a longer dictation is not corrected

_NAME_WORD_ZIPF = 5.0  # minimum Zipf frequency of a word of a name: in this home it is common


class Corrector:
    """Corrector for the names of one home. Takes milliseconds per sentence with 200 names.

    Args:
        names: in the spelling to write; of two that differ only in case, accents and
            punctuation the first is used. Names of more than 6 words are ignored.
        language: Whisper's language code. In a language without a word list the corrector
            changes only punctuation: "wifi plug" to "Wi-Fi Plug".
        weights: those of the model and the language.
    """

    def __init__(self, names: Sequence[str], language: str, weights: NameWeights) -> None:
        self.language = language
        self.weights = weights
        carrier_words(language)  # takes long the first time
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
        self._codes = [phonetic_code(parts) for parts in self._parts]
        self._most_words = max(map(len, known), default=0) + _EXTRA_WORDS

    def correct(self, text: str) -> str:
        """Return the text with every misrecognised or misspelt name corrected."""
        words = words_of(text)
        chosen: list[Candidate] = []
        likely = [
            (evidence, found)
            for found in self.candidates(text)
            if (evidence := found.evidence(self.weights.candidate)) > 0
        ]
        for _, candidate in sorted(likely, key=lambda pair: pair[0], reverse=True):
            if not self._replaces_misspelling(candidate, words) and all(
                candidate.last <= other.first or other.last <= candidate.first for other in chosen
            ):
                chosen.append(candidate)
        changes = [
            (*name_span(text, words[found.first : found.last], found.name), found.name)
            for found in chosen
        ]
        changes += self._other_spellings(text, words)
        for start, end, name in sorted(changes, reverse=True):
            text = text[:start] + name + text[end:]
        return text

    def exact_matches(self, words: Sequence[Word]) -> Iterator[tuple[str, int, int]]:
        """Yield (name, first, last) for names with the same letters; last is exclusive.

        Of several names that start at the same word, the longest is yielded.
        """
        plain = [word.letters for word in words]
        done = 0
        for first in range(len(plain)):
            for last in range(min(len(plain), first + _LONGEST_NAME), first, -1):
                if first >= done and (name := self._names.get(tuple(plain[first:last]))):
                    yield name, first, last
                    done = last
                    break

    def _replaces_misspelling(self, candidate: Candidate, words: Sequence[Word]) -> bool:
        """Return whether a word to be replaced is a misspelt everyday word, not the name.

        It is one if an everyday word is one edit from it and closer to the name: "expresso"
        is a misspelt "espresso", not a Nespresso. "valant" is one edit from "valiant", but
        that is no closer to Vaillant, so the name remains possible.
        """
        name = name_words(candidate.name)
        return len(name) == 1 and any(
            not self.zipf_frequency(word.text) and _between(word.letters, name[0], self._everyday)
            for word in words[candidate.first : candidate.last]
        )

    def _other_spellings(
        self, text: str, words: Sequence[Word]
    ) -> Iterator[tuple[int, int, str]]:
        """Yield (start, end, name) for names with other punctuation or accents: "wifi plug".

        A name that differs only in case stays as it is written. Without a word list accents
        and vowel signs must agree: without its accent a word may be another word.
        """
        for name, first, last in self.exact_matches(words):
            start, end = name_span(text, words[first:last], name)
            written = text[start:end]
            everyday = (
                last - first == 1 and self._language_zipf(words[first].text) > EVERYDAY_ZIPF
            )
            if (
                not everyday
                and not _PAUSE.search(written)
                and written.casefold() != name.casefold()
                and (self._zipf or _without_punctuation(written) == _without_punctuation(name))
            ):
                yield start, end, name

    def candidates(self, text: str) -> Iterator[Candidate]:
        """Yield a candidate for every run of words that resembles a name phonetically."""
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
            [phonetic_code(plain[first:last]) for first, last in spans],
            self._codes,
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=_MIN_SIMILARITY,
        )
        for row, column in zip(*alike.nonzero(), strict=True):
            parts = self._parts[column]
            first, last = spans[row]
            if last - first <= len(parts) + _EXTRA_WORDS:
                yield from self._compare(words, plain, first, last, parts)

    def _free(self, words: Sequence[Word]) -> list[bool]:
        """Return for each word whether it may be replaced: not a number, not part of a name."""
        free = [not any(c.isdigit() for c in word.letters) for word in words]
        for _, first, last in self.exact_matches(words):
            free[first:last] = [False] * (last - first)
        return free

    def _compare(
        self,
        words: Sequence[Word],
        plain: Sequence[str],
        first: int,
        last: int,
        parts: tuple[str, ...],
    ) -> Iterator[Candidate]:
        """Yield a candidate if these words resemble the name, without equal words at the ends."""
        heard = plain[first:last]
        before = common_prefix(heard, parts)
        after = common_prefix(heard[before:][::-1], parts[before:][::-1])
        wrong, right = heard[before : len(heard) - after], parts[before : len(parts) - after]
        if not wrong or not right:
            return  # an extra or missing word is not a misrecognition
        code = phonetic_code(right)
        alike = Levenshtein.normalized_similarity(phonetic_code(wrong), code)
        if alike < _MIN_SIMILARITY:
            return
        common = [
            self.zipf_frequency(words[at].text) for at in range(first + before, last - after)
        ]
        yield Candidate(
            name=self._names[parts],
            first=first,
            last=last,
            sounds=len(code),
            missed=len(code) * (1 - alike),
            spelling=Levenshtein.normalized_similarity("".join(wrong), "".join(right)),
            zipf=min(common),
            split=len(wrong) > len(right),
            has_name_word=before + after > 0,
            function_word_at_edge=len(wrong) > 1
            and max(common[0], common[-1]) > FUNCTION_WORD_ZIPF,
        )

    def zipf_frequency(self, word: str) -> float:
        """Return the Zipf frequency of a word, at least 5 if a name contains the word."""
        zipf = self._language_zipf(word)
        return max(zipf, _NAME_WORD_ZIPF) if letters(word) in self._spoken_words else zipf

    def _language_zipf(self, word: str) -> float:
        small = word.casefold().replace("’", "'")
        forms = (small, small.removesuffix("'s"), letters(word))
        return max(self._zipf.get(form, 0.0) for form in forms)


def name_words(text: str) -> tuple[str, ...]:
    """Return the words of a name, each normalised by letters()."""
    return tuple(word.letters for word in words_of(text))


def name_span(text: str, words: Sequence[Word], name: str) -> tuple[int, int]:
    """Return the start and the end of some words, and of the marks around them that a name has.

    Words have no marks around them, but names may: "Disney+", "Kitchen (main)".
    """
    own = words_of(name)
    start, end = words[0].start, words[-1].end
    before, after = name[: own[0].start], name[own[-1].end :]
    if text[:start].endswith(before):
        start -= len(before)
    return start, end + len(after) * text.startswith(after, end)


def _without_punctuation(text: str) -> str:
    """Return the letters, digits and combining marks of a text, in lower case."""
    composed = unicodedata.normalize("NFC", text.casefold())
    return "".join(c for c in composed if unicodedata.category(c)[0] in "LMN")


def _between(written: str, name: str, plain: Sequence[str]) -> bool:
    """Return whether a plain word is one edit from the written word and closer to the name."""
    far = Levenshtein.distance(written, name)
    return any(
        Levenshtein.distance(word, name) == far - 1
        for word, _, _ in process.extract_iter(
            written, plain, scorer=Levenshtein.distance, score_cutoff=1
        )
    )


def common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the number of leading items that are equal in both."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _corrector(names: tuple[str, ...], language: str, weights: NameWeights) -> Corrector:
    return Corrector(names, language, weights)


corrector = TenantCache(_corrector, 4)
"""Returns the corrector for a tenant, its names, the language and the weights."""
