"""Operating points of end-of-turn detection, as eot-bench defines them. Pure.

github.com/livekit/eot-bench: at each silence a score tells how finished the turn seems. A policy
ends the turn after `delay` seconds of a silence whose score reaches a threshold, and after
`timeout` seconds of any other. All policies are tried; the best one within a budget counts. Time
that computing takes is not part of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_THRESHOLDS = 60  # quantiles of the scores that are tried
_DELAYS = np.arange(0.15, 1.05, 0.05)  # seconds
_TIMEOUTS = np.arange(0.2, 3.05, 0.1)  # seconds

BUDGETS = ("cut off at 300 ms", "cut off at 600 ms", "wait at 5%", "wait at 10%")


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence after speech, and its score."""

    score: float  # larger = more finished
    seconds: float | None  # until the speaker went on; None = the turn was over


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a policy does to some turns."""

    cut_off: float  # share of the pauses that it takes for the end
    wait: float  # mean seconds from the end of a turn to its detection


def operating_points(silences: Sequence[Silence]) -> Iterator[OperatingPoint]:
    """Yield the operating points of all policies; none without a pause and an end."""
    pauses = [each for each in silences if each.seconds is not None]
    ends = np.array([each.score for each in silences if each.seconds is None])
    if not pauses or not len(ends):
        return
    scores = np.array([each.score for each in pauses])
    seconds = np.array([each.seconds for each in pauses])
    finite = np.concatenate([scores, ends])
    tried = np.quantile(finite[np.isfinite(finite)], np.linspace(0, 1, _THRESHOLDS))
    for threshold in (*tried, np.inf):
        for delay in _DELAYS:
            early = (scores >= threshold) & (seconds > delay)
            share = float((ends >= threshold).mean())
            for timeout in _TIMEOUTS[delay <= _TIMEOUTS]:
                yield OperatingPoint(
                    float((early | (seconds > timeout)).mean()),
                    float(share * delay + (1 - share) * timeout),
                )


def within_budgets(silences: Sequence[Silence]) -> list[str]:
    """Format the four figures of eot-bench, in the order of BUDGETS."""
    points = list(operating_points(silences))
    cut = [
        min((p.cut_off for p in points if p.wait <= most), default=None) for most in (0.3, 0.6)
    ]
    wait = [
        min((p.wait for p in points if p.cut_off <= most), default=None) for most in (0.05, 0.1)
    ]
    return [
        *("" if share is None else f"{100 * share:.1f}%" for share in cut),
        *("" if seconds is None else f"{1000 * seconds:.0f} ms" for seconds in wait),
    ]
