"""Alignment of tokens with the audio, from attention scores."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.engine.onnx.whisper.alignment import _warp, first_positions


def attention(spans: list[tuple[int, int]], positions: int) -> np.ndarray:
    """Return scores of two heads, in which each row attends to one span of positions."""
    scores = np.random.default_rng(1).normal(0.0, 0.3, (2, len(spans), positions))
    for row, (start, end) in enumerate(spans):
        scores[:, row, start:end] += 6.0
    return scores.astype(np.float32)


def test_each_token_begins_where_the_token_before_it_makes_the_heads_look() -> None:
    # Two rows of the prompt, of which the last one writes the first word.
    spans = [(0, 10), (10, 30), (30, 45), (45, 90), (90, 100)]
    starts = first_positions(attention(spans, 100), prompt=2, tokens=3)
    assert starts == pytest.approx([0, 30, 45, 90], abs=3)


def test_audio_shorter_than_the_filter_is_aligned() -> None:
    starts = first_positions(attention([(0, 1), (1, 2), (2, 3)], 3), prompt=1, tokens=2)
    assert len(starts) == 3
    assert starts == sorted(starts)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 9), (9, 5)])
def test_the_path_is_the_cheapest(shape: tuple[int, int]) -> None:
    cost = np.random.default_rng(shape[0]).normal(size=shape).astype(np.float32)
    assert _path_cost(cost, _warp(cost)) == pytest.approx(_cheapest(cost), abs=1e-5)


def _cheapest(cost: np.ndarray) -> float:
    """Return the cost of the cheapest path, cell by cell."""
    total = np.full((cost.shape[0] + 1, cost.shape[1] + 1), np.inf)
    total[0, 0] = 0.0
    for row in range(1, total.shape[0]):
        for column in range(1, total.shape[1]):
            before = min(
                total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]
            )
            total[row, column] = cost[row - 1, column - 1] + before
    return float(total[-1, -1])


def _path_cost(cost: np.ndarray, starts: list[int]) -> float:
    """Return the cost of the path through the first columns of the rows.

    A row ends before the column in which the next one begins, or in it.
    """
    best = 0.0
    for row, start in enumerate(starts):
        last = row + 1 == len(starts)
        end = cost.shape[1] - 1 if last else starts[row + 1]
        shared = float(cost[row, start : end + 1].sum())
        alone = float(cost[row, start:end].sum()) if end > start and not last else shared
        best += min(shared, alone)
    return best
