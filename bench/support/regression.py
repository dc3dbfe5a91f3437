"""Logistic regression with a ridge penalty, by Newton's method."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Labels = NDArray[np.bool_]

_RIDGE = 1.0  # ridge penalty; keeps the weights of weak features near zero
_STEPS = 20  # iterations of Newton's method; it converges in a few


def fit(
    design: Matrix,
    labels: Labels,
    counts: Matrix | None = None,
    *,
    offset: Matrix | float = 0.0,
) -> tuple[Matrix, Matrix]:
    """Fit the weights of the constant and of the features.

    Args:
        design: a row per sample: the constant 1, then the features.
        labels: the class of each sample.
        counts: how often each sample counts; default: once.
        offset: part of the log-odds that is given, for each sample.

    Returns:
        The weights and their standard errors. A feature that is constant has weight 0.
    """
    truth = labels.astype(np.float64)
    counts = np.ones(len(design)) if counts is None else counts
    # Scale by the standard deviations, so that the ridge penalises all weights alike.
    spread = design[:, 1:].std(axis=0)
    units = np.array([1.0, *np.where(spread > 0, spread, 1.0)])
    design = np.where([True, *(spread > 0)], design / units, 0.0)
    ridge = _RIDGE * np.diag([0.0, *np.ones(design.shape[1] - 1)])
    weights = np.zeros(design.shape[1])
    hessian = ridge
    for _ in range(_STEPS):
        fitted = 1 / (1 + np.exp(-(design @ weights + offset)))
        gradient = design.T @ (counts * (truth - fitted)) - ridge @ weights
        hessian = (design.T * (counts * fitted * (1 - fitted))) @ design + ridge
        weights = weights + np.linalg.solve(hessian, gradient)
    return weights / units, np.sqrt(np.diag(np.linalg.inv(hessian))) / units


def fit_choices(choices: Sequence[Matrix], labels: Sequence[Labels]) -> Matrix:
    """Fit the weights of features to tell which of several things was the case.

    Conditional logistic regression: the odds of two choices depend on the difference of their
    features.

    Args:
        choices: for each question a row of features per choice.
        labels: for each question which choices are right; at least one.
    """
    weights = np.zeros(choices[0].shape[1])
    for _ in range(_STEPS):
        gradient, hessian = -_RIDGE * weights, _RIDGE * np.eye(len(weights))
        for rows, right in zip(choices, labels, strict=True):
            values = rows @ weights
            likely = np.exp(values - values.max())
            likely /= likely.sum()
            wanted = likely * right / (likely @ right)
            mean = likely @ rows
            gradient += (wanted - likely) @ rows
            hessian += (rows.T * likely) @ rows - np.outer(mean, mean)
        weights = weights + np.linalg.solve(hessian, gradient)
    return weights


def balance(labels: Labels) -> Matrix:
    """Return the counts with which both classes weigh equally."""
    share = labels.mean()
    counts: Matrix = np.where(labels, 0.5 / share, 0.5 / (1 - share))
    return counts
