"""Logistic regression with a ridge penalty, by Newton's method."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Labels = NDArray[np.bool_]

_RIDGE = 1.0  # ridge penalty; keeps the weights of weak features near zero
_STEPS = 20  # iterations of Newton's method; it converges in a few


def fit(signs: Matrix, labels: Labels, counts: Matrix | None = None) -> tuple[Matrix, Matrix]:
    """Fit the weights of the constant and of the features.

    Args:
        signs: a row per sample: the constant 1, then the features.
        labels: the class of each sample.
        counts: how often each sample counts; default: once.

    Returns:
        The weights and their standard errors. A feature that is constant has weight 0.
    """
    truth = labels.astype(np.float64)
    counts = np.ones(len(signs)) if counts is None else counts
    # Scale by the standard deviations, so that the ridge penalises all weights alike.
    spread = signs[:, 1:].std(axis=0)
    units = np.array([1.0, *np.where(spread > 0, spread, 1.0)])
    signs = np.where([True, *(spread > 0)], signs / units, 0.0)
    ridge = _RIDGE * np.diag([0.0, *np.ones(signs.shape[1] - 1)])
    weights = np.zeros(signs.shape[1])
    bend = ridge
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-signs @ weights))
        slope = signs.T @ (counts * (truth - likely)) - ridge @ weights
        bend = (signs.T * (counts * likely * (1 - likely))) @ signs + ridge
        weights = weights + np.linalg.solve(bend, slope)
    return weights / units, np.sqrt(np.diag(np.linalg.inv(bend))) / units


def balance(labels: Labels) -> Matrix:
    """Return the counts with which both classes weigh equally."""
    share = labels.mean()
    counts: Matrix = np.where(labels, 0.5 / share, 0.5 / (1 - share))
    return counts
