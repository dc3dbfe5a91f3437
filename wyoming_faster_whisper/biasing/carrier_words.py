"""Words around the names in orders and questions of one language. Pure."""

from __future__ import annotations

from dataclasses import dataclass

START, NAME = "^", "{}"
"""The beginning of a text and a name, in CarrierWords.pairs."""


@dataclass(frozen=True, slots=True)
class CarrierWords:
    """Words of the templates that have a place for a name, in lower case."""

    around: frozenset[str] = frozenset()  # all words
    pairs: frozenset[tuple[str, str]] = frozenset()  # a word or START, and a next word or NAME
    polite: frozenset[str] = frozenset()  # words that may be anywhere: "please", "can you"
