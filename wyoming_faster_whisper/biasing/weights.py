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
    most_sounds: float  # sounds; more than this add no evidence
    per_missed_sound: float
    spelling: float
    per_zipf: float
    split: float
    name_word: float
    function_word_at_edge: float
    # Penalties for replacing words of the language when no other word of the name is next to
    # them. The penalty grows with the Zipf frequency: "the alarm works" does not mean a Worx,
    # "espresso" does not mean a Nespresso. Stricter than the fit, because rescoring by the
    # decoder can still find the name.
    known: float
    everyday: float
    # Penalty for replacing a function word together with an out-of-vocabulary (OOV) word: "the
    # starkey is" is not Sparkles.
    function_word_by_sound: float


@dataclass(frozen=True, slots=True)
class RewriteWeights:
    """Weights of Rewrite.min_gain (hypotheses.py), in natural-log units of the decoder's score.

    The required gain is lower if the rewrite sounds like the first hypothesis, if the name
    sounds like the words it replaces, if another word of the name was recognised, if the name
    follows a carrier phrase, and if the first hypothesis has a low avg_logprob. It is higher for
    long names, because the decoder favours the names in its prompt, for replacing a function
    word at the edge, and for replacing words of the language, though this less so after a
    carrier phrase.
    """

    base_gain: float
    per_alike: float
    per_sound: float
    per_sound_around: float
    per_similarity: float
    name_word: float
    per_logprob: float
    function_word_at_edge: float
    after_carrier: float
    # Outside of carrier phrases each is 2 stricter than the fit: "the works will start" does
    # not mean a Worx, and "the starkey is", with its function word, does not mean Sparkles.
    known: float
    known_after_carrier: float
    function_word_at_edge_elsewhere: float


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
