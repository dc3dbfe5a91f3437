"""How common a word is: whether it may well be what was said. Pure.

The lists are those of pyspellchecker (MIT), counted in film subtitles and the
like: what people say, in a dozen languages.
"""

from __future__ import annotations

import gzip
import json
import math
from functools import lru_cache
from importlib import resources

# A count of 50 means "in the dictionary, hardly ever seen": rare words and misspellings.
_RARE = 100

LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")


@lru_cache(maxsize=2)
def commonness(language: str) -> dict[str, float]:
    """Words, in small letters, and the logarithm to base 10 of their count in a thousand million.

    From 1.8 (once in 16 million words; rarer ones are left out) to 7.7 ("the").
    Empty for languages that there is no list for.
    """
    if language not in LANGUAGES:
        return {}
    file = resources.files("spellchecker") / "resources" / f"{language}.json.gz"
    counts: dict[str, int] = json.loads(gzip.decompress(file.read_bytes()))
    total = sum(counts.values())
    return {
        word: math.log10(count / total * 1e9) for word, count in counts.items() if count >= _RARE
    }
