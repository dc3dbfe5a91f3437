"""Confidence intervals of paired comparisons, by bootstrap over clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ROUNDS = 4000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of two error rates over the same clips, and its 95% interval."""

    difference: float  # the first rate less the second, as a share
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.difference:+.1f} ({100 * self.low:+.1f} to {100 * self.high:+.1f})"


def paired(
    first: Sequence[int], second: Sequence[int], words: Sequence[int], groups: Sequence[str] = ()
) -> Interval:
    """Return the difference of two pooled error rates, with a paired bootstrap interval.

    Clips are drawn with replacement, each with the results of both.

    Args:
        first: errors of the first system, one number per clip.
        second: errors of the second system, of the same clips.
        words: in the reference text of each clip; 1 for a clip that is right or wrong.
        groups: a label per clip; the clips of each group are drawn among themselves, so that
            each round has as many of each. () = one group.
    """
    counts = np.array([first, second, words], dtype=float)
    labels = np.array(groups or [""] * len(words))
    chance = np.random.default_rng(_SEED)
    sums = np.zeros((3, _ROUNDS))
    for label in dict.fromkeys(labels.tolist()):
        some = counts[:, labels == label]
        drawn = chance.multinomial(some.shape[1], [1 / some.shape[1]] * some.shape[1], _ROUNDS)
        sums += some @ drawn.T
    rates = (sums[0] - sums[1]) / np.maximum(sums[2], 1)
    low, high = np.percentile(rates, [2.5, 97.5])
    total = max(1.0, counts[2].sum())
    return Interval(float((counts[0].sum() - counts[1].sum()) / total), float(low), float(high))
