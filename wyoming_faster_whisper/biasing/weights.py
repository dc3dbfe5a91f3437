"""Fitted weights: how likely words are a name, when a name wins, and when an order wins. Pure.

docs/names.md has the data and its limits.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CandidateWeights:
    """Weights of the evidence for a name (candidates.py), in log odds."""

    prior: float
    per_sound: float
    most_sounds: float  # symbols of the phonetic code; more of them add no evidence
    per_missed_sound: float
    spelling: float
    per_zipf: float
    split: float
    name_word: float
    function_word_at_edge: float
    # Penalty for replacing words of the language when no other word of the name is next to
    # them: "espresso" does not mean a Nespresso. Stricter than the fit, because rescoring by the
    # decoder can still find the name.
    known: float


@dataclass(frozen=True, slots=True)
class RewriteWeights:
    """Required gain of a text with a name (Rewrite.min_gain in hypotheses.py).

    In natural-log units of the decoder's score.
    """

    # If the name follows a carrier phrase, or differs only in case from the first hypothesis.
    after_carrier: float
    elsewhere: float


@dataclass(frozen=True, slots=True)
class NameWeights:
    """All weights for names."""

    candidate: CandidateWeights
    rewrite: RewriteWeights


@dataclass(frozen=True, slots=True)
class OrderGains:
    """Log-probability (natural, whole text) that a text gains if it fits the grammar.

    See grammar.py; calibration/ has the data.
    """

    order: float  # with names that may be those of a home
    home: float  # with the names of this home, or without any
