"""Alignment of tokens with the audio, from the scores of attention heads. Pure.

Source: openai/whisper: timing.py (find_alignment, median_filter, dtw).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_MEDIAN = 7  # positions of the median filter
_TINY = 1e-5


def first_positions(scores: Floats, prompt: int, tokens: int) -> list[int]:
    """Return the position at which each token of a text begins, and that of the text's end.

    Args:
        scores: attention scores before the softmax, shape (heads, tokens of prompt, text and end,
            positions of the encoding that hold audio).
        prompt: tokens of the prompt.
        tokens: tokens of the text.

    Returns:
        tokens + 1 positions, ascending.
    """
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    centred = shares - shares.mean(axis=-2, keepdims=True)
    normed = centred / np.sqrt(centred.var(axis=-2, keepdims=True) + _TINY)
    followed = _median(normed).mean(axis=0)
    # A token is predicted with the attention of the token before it.
    return _warp(-followed[prompt - 1 : prompt + tokens])


def _median(values: Floats) -> Floats:
    """Apply a median filter along the last axis, which is mirrored at its ends."""
    half = _MEDIAN // 2
    if values.shape[-1] <= half:
        return values
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN, axis=-1)
    middle: Floats = np.median(windows, axis=-1)
    return middle


def _warp(cost: Floats) -> list[int]:
    """Return the first column of each row on the cheapest path (dynamic time warping).

    The cells of an antidiagonal do not depend on each other and are computed at once.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    step = np.zeros((rows + 1, columns + 1), np.int8)
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        column = diagonal - row
        before = np.stack(
            [total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]]
        )
        # The next column wins a tie, as in the source.
        choice = np.full(len(row), 2)
        choice[(before[1] < before[0]) & (before[1] < before[2])] = 1
        choice[(before[0] < before[1]) & (before[0] < before[2])] = 0
        step[row, column] = choice
        total[row, column] = cost[row - 1, column - 1] + before[choice, np.arange(len(row))]
    first = [0] * rows
    at_row, at_column = rows, columns
    while at_row > 0 and at_column > 0:
        first[at_row - 1] = at_column - 1
        taken = int(step[at_row, at_column])
        at_row -= int(taken != 2)
        at_column -= int(taken != 1)
    return first
