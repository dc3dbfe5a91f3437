"""Operating points of end-of-turn detection: the figures of eot-bench."""

from __future__ import annotations

import math

import pytest

from bench.support.operating_points import Silence, operating_points, within_budgets

PAUSES = [Silence(-2.0, 0.5), Silence(-1.0, 0.8)]
ENDS = [Silence(1.0, None), Silence(2.0, None)]


def test_scores_that_separate_ends_from_pauses_cost_nothing() -> None:
    assert within_budgets([*PAUSES, *ENDS]) == ["0.0%", "0.0%", "150 ms", "150 ms"]


def test_scores_that_say_nothing_leave_only_the_silence() -> None:
    cut_300, cut_600, wait_5, wait_10 = within_budgets(
        [Silence(0.0, 0.4), Silence(0.0, 0.9), Silence(0.0, None)]
    )
    assert (cut_300, cut_600) == ("100.0%", "50.0%")
    assert wait_5 == wait_10 == "900 ms"


def test_an_end_without_a_score_waits_for_the_timeout() -> None:
    best = min(operating_points([*PAUSES, Silence(-math.inf, None)]), key=lambda p: p.wait)
    assert best.cut_off == 1.0
    assert best.wait == pytest.approx(0.2)
    safe = [p for p in operating_points([*PAUSES, Silence(-math.inf, None)]) if not p.cut_off]
    assert min(p.wait for p in safe) == pytest.approx(0.8)


def test_there_are_no_figures_without_pauses() -> None:
    assert within_budgets(ENDS) == ["", "", "", ""]
