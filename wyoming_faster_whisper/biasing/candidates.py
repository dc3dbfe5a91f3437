"""Candidates: words of a text that may be a misrecognised name, scored in log odds. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .phonetics import letters

_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")

# Weights of the evidence in log odds, fitted on bench.speech.homes.TUNING; docs/names.md has the
# data and its limits.
_PRIOR = -5.0
_PER_SOUND = 1.2
_PER_MISSED_SOUND = -3.6
_SPELLING = 6.0
_PER_ZIPF = -0.6
_SPLIT = 1.5
_NAME_WORD = 5.0
_FUNCTION_WORD_AT_EDGE = -2.5
# Penalties for replacing words of the language when no other word of the name is next to them.
# The penalty grows with the Zipf frequency: "the alarm works" does not mean a Worx, "espresso"
# does not mean a Nespresso. Stricter than the fit, because rescoring by the decoder can still
# find the name.
_KNOWN = -4.0
_EVERYDAY = -3.0
# Penalty for replacing a function word together with an out-of-vocabulary (OOV) word: "the
# starkey is" is not Sparkles.
_FUNCTION_WORD_BY_SOUND = -1.0

_MOST_SOUNDS = 8.0  # more sounds than this add no evidence
EVERYDAY_ZIPF = 3.0  # Zipf frequency; "grow" has 4.9, "plank" 3.1


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its character positions in the text."""

    text: str
    start: int
    end: int

    @property
    def letters(self) -> str:
        return letters(self.text)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name, and the words of the text that it may replace."""

    name: str
    first: int  # index of the first replaced word
    last: int  # index after the last replaced word
    sounds: float  # number of sounds in the words of the name that were not recognised exactly
    missed: float  # number of these sounds that the text lacks
    spelling: float  # similarity of the spellings, 0 to 1
    zipf: float  # Zipf frequency of the rarest replaced word; 0 = out of vocabulary
    split: bool  # the text has more words here than the name
    has_name_word: bool  # another word of the name was recognised exactly
    function_word_at_edge: bool  # the first or last replaced word is a function word

    @property
    def evidence(self) -> float:
        """Log odds that the speaker said the name; 0 means equally likely."""
        if self.has_name_word:
            return self.similarity
        if not self.zipf:
            return self.similarity + _FUNCTION_WORD_BY_SOUND * self.function_word_at_edge
        return self.similarity + _KNOWN + _EVERYDAY * max(0.0, self.zipf - EVERYDAY_ZIPF)

    @property
    def similarity(self) -> float:
        """Log odds from sound and spelling, with a smaller penalty for words of the language."""
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
    """Return the words of a text; "Wi-Fi" and "Monika's" are one word each."""
    return [Word(match[0], match.start(), match.end()) for match in _WORD.finditer(text)]
