"""From spelling to sound: Metaphone (Lawrence Philips, 1990). Pure.

Spellings that sound alike have the same code: "Aqara" and "akara" are AKR, "Ecobee" and "eco
bee" EKB. Vowels count only at the beginning of a word. docs/performance-notes.md compares
Metaphone with other codes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import jellyfish

_DIGITS = dict(
    zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)
)
# Names of letters that Metaphone would read as in a word, such as k for c. The vowels are right.
_LETTERS = dict(
    zip(
        "bcdfghjklmnpqrstuvwxyz",
        "bee see dee eff jee aitch jay kay ell em en pee cue ar ess tee you vee "
        "doubleyou ex why zee".split(),
        strict=True,
    )
)  # fmt: skip


def letters(text: str) -> str:
    """Normalise a text for comparison: lower-case letters and digits, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss"))
    return "".join(c for c in plain if c.isalnum())


@lru_cache(maxsize=8192)
def sounds(word: str) -> str:
    """Return the Metaphone code of a word that letters() has normalised.

    Digits and single letters are read aloud. A word without a code, such as one in another
    script, stands for itself.
    """
    spoken = "".join(_DIGITS.get(c, c) for c in _LETTERS.get(word, word))
    return jellyfish.metaphone(spoken) or word.upper()


def phonetic_code(words: Sequence[str]) -> str:
    """Return the code of words that letters() has normalised, without gaps."""
    return "".join(map(sounds, words))
