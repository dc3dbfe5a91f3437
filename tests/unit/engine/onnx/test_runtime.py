"""Functions on the outputs of graphs."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.engine.onnx.runtime import log_softmax


def test_log_softmax_is_stable_and_sums_to_one() -> None:
    logits = np.array([[1000.0, 0.0, -np.inf], [1.0, 1.0, 1.0]], np.float32)
    rows = log_softmax(logits)
    assert np.exp(rows).sum(axis=1) == pytest.approx([1.0, 1.0])
    assert rows[0, 0] == 0.0
    assert rows[1] == pytest.approx(np.log(1 / 3))
    assert rows.dtype == np.float32
    assert logits[0, 0] == 1000.0  # the argument is unchanged
