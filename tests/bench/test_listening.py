"""The figures of bench.listening."""

from __future__ import annotations

import pytest

from bench.listening import Listened, cpu


def test_cpu_time_is_per_second_of_audio_and_of_one_setting() -> None:
    listened = [
        Listened("ours", "orders", 3.0, 0.09, 0.01),
        Listened("ours", "silence", 1.0, 0.01, None),
        Listened("other", "orders", 3.0, 0.3, 0.01),
    ]
    assert cpu(listened, "ours") == pytest.approx(0.025)
