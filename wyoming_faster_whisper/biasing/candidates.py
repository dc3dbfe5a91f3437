"""Candidates: words of a text that may be a misrecognised name, scored in log odds. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .phonetics import letters
from .weights import CandidateWeights

_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")

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
    sounds: int  # phonetic symbols of the words of the name that were not recognised exactly
    missed: float  # number of these symbols that the text lacks
    spelling: float  # similarity of the spellings, 0 to 1
    zipf: float  # Zipf frequency of the rarest replaced word; 0 = out of vocabulary
    split: bool  # the text has more words here than the name
    has_name_word: bool  # another word of the name was recognised exactly
    function_word_at_edge: bool  # the first or last replaced word is a function word

    def evidence(self, weights: CandidateWeights) -> float:
        """Return the log odds that the speaker said the name; 0 means equally likely."""
        likely = self.similarity(weights)
        if self.has_name_word or not self.zipf:
            return likely
        return likely + weights.known

    def similarity(self, weights: CandidateWeights) -> float:
        """Return the evidence without the penalty for words that are in the vocabulary."""
        return (
            weights.prior
            + weights.per_sound * min(self.sounds, weights.most_sounds)
            + weights.per_missed_sound * self.missed
            + weights.spelling * self.spelling
            + weights.per_zipf * self.zipf
            + weights.split * self.split
            + weights.name_word * self.has_name_word
            + weights.function_word_at_edge * self.function_word_at_edge
        )


def words_of(text: str) -> list[Word]:
    """Return the words of a text; "Wi-Fi" and "Monika's" are one word each."""
    return [Word(match[0], match.start(), match.end()) for match in _WORD.finditer(text)]
