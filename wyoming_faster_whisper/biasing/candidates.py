"""Words of a text that may be a name: how much speaks for it, and against. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .phonetics import letters

_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")

# Weights of the evidence, in units of log odds, fitted on bench.speech.homes.TUNING.
_PRIOR = -5.0
_PER_SOUND = 1.2
_PER_MISSED_SOUND = -3.6
_SPELLING = 6.0
_PER_ZIPF = -0.6
_SPLIT = 1.5
_NAME_WORD = 5.0
_FUNCTION_WORD_AT_EDGE = -2.5
# For words of the language, where no other word of the name stands beside them, and the more
# the commoner: "the alarm works" is not about a Worx, nor an "espresso" about a Nespresso.
# Stricter than the fit: what was meant all the same comes out when the decoder is asked.
_KNOWN = -4.0
_EVERYDAY = -3.0
# For a little word that would go with words that nobody knows: "the starkey is" is no Sparkles.
_FUNCTION_WORD_BY_SOUND = -1.0

_MOST_SOUNDS = 8.0  # a longer name is no surer to be meant
EVERYDAY_ZIPF = 3.0  # commonness: "grow" has 4.9, "plank" 3.1


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it stands in the text."""

    text: str
    start: int
    end: int

    @property
    def letters(self) -> str:
        return letters(self.text)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that may be meant by some words of the text."""

    name: str
    first: int  # word
    last: int  # word, not included
    sounds: float  # of the name, without the words that are right already
    missed: float  # sounds, of those
    spelling: float  # 0 to 1: how alike they are written
    zipf: float  # commonness of the rarest word that would go
    split: bool  # more words than the name has
    has_name_word: bool  # another word of the name stands there
    function_word_at_edge: bool  # a little word would go with the others

    @property
    def evidence(self) -> float:
        """Log odds that the name was meant; 0 is even."""
        if self.has_name_word:
            return self.similarity
        if not self.zipf:
            return self.similarity + _FUNCTION_WORD_BY_SOUND * self.function_word_at_edge
        return self.similarity + _KNOWN + _EVERYDAY * max(0.0, self.zipf - EVERYDAY_ZIPF)

    @property
    def similarity(self) -> float:
        """The same, were the words that stand there no more than a way to write sounds."""
        return (
            _PRIOR
            + _PER_SOUND * min(self.sounds, _MOST_SOUNDS)
            + _PER_MISSED_SOUND * self.missed
            + _SPELLING * self.spelling
            + _PER_ZIPF * self.zipf
            + _SPLIT * self.split
            + _NAME_WORD * self.has_name_word
            + _FUNCTION_WORD_AT_EDGE * self.function_word_at_edge
        )


def words_of(text: str) -> list[Word]:
    return [Word(match[0], match.start(), match.end()) for match in _WORD.finditer(text)]
