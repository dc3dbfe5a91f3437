"""Logistic regression of the fitting scripts."""

from __future__ import annotations

import numpy as np
import pytest

from bench.support.regression import Matrix, balance, fit, fit_choices

RNG = np.random.default_rng(0)


def design(*features: Matrix) -> Matrix:
    return np.column_stack([np.ones(len(features[0])), *features])


def test_the_weights_that_made_the_labels_are_found_within_their_errors() -> None:
    first, second = RNG.normal(0, 2, 4000), RNG.normal(3, 1, 4000)
    log_odds = -2.0 + 1.5 * first + 0.5 * second
    labels = RNG.random(4000) < 1 / (1 + np.exp(-log_odds))
    weights, errors = fit(design(first, second), labels)
    assert weights == pytest.approx([-2.0, 1.5, 0.5], abs=4 * float(errors.max()))
    assert errors.max() < 0.3


def test_a_part_of_the_log_odds_may_be_given() -> None:
    first, second = RNG.normal(0, 2, 4000), RNG.normal(3, 1, 4000)
    labels = RNG.random(4000) < 1 / (1 + np.exp(2.0 - 1.5 * first - 0.5 * second))
    weights, errors = fit(design(first), labels, offset=0.5 * second)
    assert weights == pytest.approx([-2.0, 1.5], abs=4 * float(errors.max()))


def test_a_constant_feature_gets_no_weight() -> None:
    feature = RNG.normal(size=200)
    weights, _ = fit(design(feature, np.full(200, 7.0)), feature > 0)
    assert weights[1] > 1
    assert weights[2] == 0


def test_balanced_counts_weigh_both_classes_equally() -> None:
    labels = np.array([True, False, False, False])
    counts = balance(labels)
    assert counts[labels].sum() == pytest.approx(counts[~labels].sum())


def test_the_weights_of_choices_are_found() -> None:
    """Of three things, the one with the highest value is chosen most often."""
    choices = [RNG.normal(0, 2, (3, 2)) for _ in range(3000)]
    labels = []
    for rows in choices:
        values = rows @ [1.0, -0.5] + RNG.gumbel(size=3)
        labels.append(values == values.max())
    weights = fit_choices(choices, labels)
    assert weights == pytest.approx([1.0, -0.5], abs=0.1)


def test_any_of_several_right_choices_is_right() -> None:
    rows = np.array([[0.0], [1.0], [2.0]])
    labels = np.array([False, True, True])
    assert fit_choices([rows] * 20, [labels] * 20) > 0
    assert fit_choices([rows] * 20, [~labels] * 20) < 0
