"""How common a word is: whether it may well be what was said. Pure.

The lists are those of pyspellchecker (MIT), counted in film subtitles and the
like: what people say, in a dozen languages. brands.txt has what they have at home.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from functools import lru_cache
from importlib import resources

from spellchecker import SpellChecker

# A count of 50 means "in the dictionary, hardly ever seen": rare words and misspellings.
_MIN_COUNT = 100

LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")

_SHORTEST_PART = 3  # letters; nearly anything is made of shorter ones

_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’][^\W\d_]+)*(?!\w)")
_HYPHENED = re.compile(r"\w+(?:-\w+)+")


@lru_cache(maxsize=2)
def zipf_frequencies(language: str) -> dict[str, float]:
    """Words, in small letters, and the logarithm to base 10 of their count in a thousand million.

    From 1.8 (once in 16 million words; rarer ones are left out) to 7.7 ("the").
    Empty for languages that there is no list for.
    """
    counts = _counts(language)
    total = sum(counts.values())
    return {
        word: math.log10(count / total * 1e9)
        for word, count in counts.items()
        if count >= _MIN_COUNT
    }


@lru_cache(maxsize=1)
def vocabulary(language: str) -> frozenset[str]:
    """The words of zipf_frequencies() and what things at home are called, in small letters."""
    brands = (resources.files(__package__) / "brands.txt").read_text("utf-8").splitlines()
    spoken = (word for word, count in _counts(language).items() if count >= _MIN_COUNT)
    return frozenset((*spoken, *(brand for brand in brands if not brand.startswith("#"))))


def split_words(text: str) -> list[str]:
    """The words of a text as they are written, no "5th" or "7pm"; "medium-ro" is two of them."""
    return _WORD.findall(text)


def count_oov(text: str, *vocabularies: Container[str]) -> int:
    """How many words of a text are none.

    Abbreviations ("TV", "p.m.") pass for words, and so does what is made of them ("kettle's",
    "mudroom") or written in two ways ("Wi-Fi").

    Args:
        vocabularies: what are words, in small letters.
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
    if language not in LANGUAGES:
        return {}
    return SpellChecker(language=language).word_frequency.dictionary
