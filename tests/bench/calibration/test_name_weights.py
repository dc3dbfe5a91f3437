"""bench.calibration.name_weights: features, labels, and the outcome with given weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.calibration.name_weights import Heard, best, outcome, unit, weight_names
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.biasing.correct import Corrector

NAMES = ("Ecobee", "Netatmo", "Kitchen")
HOME = Corrector(NAMES, "en", ENGLISH.names)


def test_the_evidence_is_the_sum_of_its_weighted_features() -> None:
    weights = ENGLISH.names.candidate
    found = list(HOME.candidates("Turn on the eco bee and the net at mode."))
    assert found
    for candidate in found:
        parts = [
            getattr(weights, name) * candidate.evidence(unit(weights, name))
            for name in weight_names(weights)
            if name != "most_sounds"
        ]
        assert candidate.evidence(weights) == pytest.approx(sum(parts))


def test_the_required_gain_is_the_sum_of_its_weighted_features() -> None:
    weights = ENGLISH.names.rewrite
    said = Heard(
        "",
        "Ecobee",
        "Turn on the Ecobee.",
        ("Turn on the eco bay.", "Turn on the Ecobee."),
        scores={"Turn on the eco bay.": -4.0, "Turn on the Ecobee.": -5.0},
    )
    [found] = said.rewrites(HOME)
    parts = []
    for name in weight_names(weights):
        only = Corrector(NAMES, "en", replace(ENGLISH.names, rewrite=unit(weights, name)))
        [feature] = said.rewrites(only)
        parts.append(getattr(weights, name) * feature.min_gain)
    assert found.min_gain == pytest.approx(sum(parts))


def test_only_the_texts_with_the_name_and_fewest_errors_are_right() -> None:
    said = Heard("", "Ecobee", "Turn on the Ecobee.", ())
    texts = ("Turn on the Ecobee.", "Turn the Ecobee.", "Turn on the eco bee.")
    errors = [said.errors(text) for text in texts]
    assert errors == [0, 1, math.inf]
    assert best(errors) == [True, False, False]
    assert best([math.inf]) == [False]


def test_the_outcome_counts_right_names_and_changed_sentences() -> None:
    heard = [
        Heard("one", "Ecobee", "Turn on the Ecobee.", ("Turn on the eco bee.",)),
        Heard("one", "Ecobee", "Turn on the Ecobee.", ("Turn it on.",)),
        Heard("one", "", "", ("Is the eco bee on?",)),
        Heard("one", "", "", ()),
        Heard("other", "Ecobee", "Turn on the Ecobee.", ("Turn on the eco bee.",)),
    ]
    other = Corrector(["Netatmo"], "en", ENGLISH.names)
    assert outcome(heard, {"one": HOME, "other": other}) == ({"one": 1, "other": 0}, 1)
