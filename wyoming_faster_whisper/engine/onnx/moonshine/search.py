"""Beam search over a decoder. Pure.

Hypotheses are ranked by their mean log-probability. The search stops once the number of complete
ones has reached the beam width, and the best of them ranks above every incomplete one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_IMPOSSIBLE = -1e4  # log-probability of a suppressed token; finite, so that sums stay finite

Logprobs = npt.NDArray[np.float32]

Step = Callable[[Sequence[int], Sequence[int]], Logprobs]
"""One step of the decoder: takes the indices of the hypotheses to extend and the newest token of
each, and returns the log-probabilities of the next token, shape (hypotheses, vocabulary)."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis of the decoder."""

    tokens: tuple[int, ...]  # without the end-of-text token
    logprobs: tuple[float, ...]  # natural log; with that of the end-of-text token
    complete: bool = True  # False if the budget ended it

    @property
    def score(self) -> float:
        """Log-probability of the whole text."""
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        """Mean log-probability of its tokens."""
        return self.score / max(1, len(self.logprobs))


def beam_search(
    first: Logprobs,
    step: Step,
    *,
    beam: int,
    budget: int,
    end: int,
    suppressed: npt.NDArray[np.bool_] | None = None,
    may_be_empty: bool = False,
) -> list[Hypothesis]:
    """Find the most probable texts.

    Args:
        first: log-probabilities (natural) of the first token, shape (vocabulary,).
        step: runs the decoder; not called after the last token that fits the budget.
        beam: beam width; 1 = greedy.
        budget: maximum number of tokens, at least 1.
        end: the end-of-text token.
        suppressed: True for tokens that must not be generated, shape (vocabulary,); None = none.
        may_be_empty: the end-of-text token may come first. By its mean log-probability an empty
            text would beat many others.

    Returns:
        1 to `beam` hypotheses, the best first.
    """
    live: list[Hypothesis] = [Hypothesis((), (), complete=False)]
    following = first[None]
    done: list[Hypothesis] = []
    for length in range(budget):
        if suppressed is not None:
            following = np.where(suppressed, np.float32(_IMPOSSIBLE), following)
        if not length and not may_be_empty:
            following = following.copy()
            following[:, end] = _IMPOSSIBLE
        ranked = _extensions(live, following, 2 * beam)
        going: list[tuple[int, Hypothesis]] = []
        for rank, (parent, token, logprob) in enumerate(ranked):
            one = live[parent]
            if token == end:
                # An end-of-text token that ranks below the beam width completes no hypothesis.
                if rank < beam:
                    done.append(Hypothesis(one.tokens, (*one.logprobs, logprob)))
            elif len(going) < beam:
                going.append(
                    (
                        parent,
                        Hypothesis(
                            (*one.tokens, token), (*one.logprobs, logprob), complete=False
                        ),
                    )
                )
        live = [hypothesis for _, hypothesis in going]
        if length + 1 == budget or _is_over(done, live, beam):
            break
        following = step([parent for parent, _ in going], [one.tokens[-1] for one in live])
    if len(done) < beam:
        done += live
    return sorted(done, key=lambda one: one.mean, reverse=True)[:beam]


def _is_over(done: Sequence[Hypothesis], live: Sequence[Hypothesis], beam: int) -> bool:
    """Return whether no live hypothesis can be expected to beat the best complete one."""
    if len(done) < beam:
        return False
    return max(one.mean for one in live) < max(one.mean for one in done)


def _extensions(
    live: Sequence[Hypothesis], following: Logprobs, count: int
) -> list[tuple[int, int, float]]:
    """Return the most probable next tokens of all hypotheses, the best first.

    Returns:
        The index of the hypothesis, the token, and its log-probability.
    """
    scores = following + np.array([[one.score] for one in live], np.float32)
    flat = scores.ravel()
    count = min(count, flat.size)
    best = np.argpartition(flat, -count)[-count:]
    best = best[np.argsort(-flat[best], kind="stable")]
    rows, tokens = np.divmod(best, scores.shape[1])
    return [
        (int(row), int(token), float(following[row, token]))
        for row, token in zip(rows, tokens, strict=True)
    ]
