"""Vocabulary and word frequencies. Pure.

The word lists are those of pyspellchecker (MIT). They are counted in film subtitles and
similar texts, so they reflect spoken language. brands.txt adds brands and kinds of
devices.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from functools import lru_cache
from importlib import resources

from spellchecker import SpellChecker

# pyspellchecker gives a count of 50 to dictionary words that were hardly ever seen: rare words
# and misspellings.
_MIN_COUNT = 100

# Zipf frequency; words above are function words: "the", "of", and "an", which has 6.47. "good",
# which has 6.38, is what the model may write for "could".
FUNCTION_WORD_ZIPF = 6.4

LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")
"""Languages with word frequencies, for the correction of names."""

VOCABULARIES = frozenset({"en", "es", "fr", "it", "ru"})
"""Languages in which preferring words of the vocabulary was measured to be more accurate
(python -m bench.calibration.oov). German forms new compounds every day, and "Bluthochdruck"
became two words.
"""

_SHORTEST_PART = 3  # letters; shorter parts would make up nearly any string

_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’][^\W\d_]+)*(?!\w)")
_HYPHENED = re.compile(r"\w+(?:-\w+)+")


@lru_cache(maxsize=2)
def zipf_frequencies(language: str) -> dict[str, float]:
    """Return the Zipf frequency of each lower-case word: log10 of its count per billion words.

    From 1.8 (once in 16 million words; rarer words are omitted) to 7.7 ("the"). Empty for
    languages without a word list.
    """
    counts = _counts(language) if language in LANGUAGES else {}
    total = sum(counts.values())
    return {
        word: math.log10(count / total * 1e9)
        for word, count in counts.items()
        if count >= _MIN_COUNT
    }


@lru_cache(maxsize=2)
def vocabulary(language: str) -> frozenset[str]:
    """Return the lower-case words of a word list and of brands.txt.

    Args:
        language: one of VOCABULARIES. The lists have from 12,000 words (Russian) to 47,000
            (English).
    """
    brands = (resources.files(__package__) / "brands.txt").read_text("utf-8").splitlines()
    spoken = (word for word, count in _counts(language).items() if count >= _MIN_COUNT)
    return frozenset((*spoken, *(brand for brand in brands if not brand.startswith("#"))))


def split_words(text: str) -> list[str]:
    """Split a text into words without digits: no "5th" or "7pm"; "medium-ro" gives two."""
    return _WORD.findall(text)


def count_oov(text: str, *vocabularies: Container[str]) -> int:
    """Count the out-of-vocabulary (OOV) words of a text.

    Abbreviations ("TV", "p.m."), possessives ("kettle's"), compounds of two known words
    ("mudroom") and hyphenated spellings ("Wi-Fi") are not counted.

    Args:
        vocabularies: known words, in lower case; a word in any of them is known.
    """

    def is_word(word: str) -> bool:
        return any(word in some for some in vocabularies)

    def is_made_of_words(word: str) -> bool:
        cuts = range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1)
        return any(is_word(word[:at]) and is_word(word[at:]) for at in cuts)

    def joined(found: re.Match[str]) -> str:
        whole = found[0].replace("-", "")
        return whole if is_word(whole.lower()) else found[0]

    count = 0
    for word in split_words(_HYPHENED.sub(joined, text)):
        whole = word.lower().replace("’", "'")
        stem = whole.split("'")[0]
        passes = len(word) == 1 or word.isupper() or is_word(whole)
        count += not (passes or is_word(stem) or is_made_of_words(stem))
    return count


def _counts(language: str) -> Mapping[str, int]:
    return SpellChecker(language=language).word_frequency.dictionary
