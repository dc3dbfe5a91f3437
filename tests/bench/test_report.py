"""Tables that the benchmarks print."""

from __future__ import annotations

from bench.support.report import Target, against, beside, percentile


def test_the_table_shows_the_ratio_of_two_servers() -> None:
    lines = beside(["a", "b"], [("part", None), ("wait", ([1.0, 4.0], 1000, "{:.0f} ms"))])
    assert [line.split() for line in lines.splitlines()] == [
        ["a", "b", "ratio"],
        ["part"],
        ["wait", "1000", "ms", "4000", "ms", "0.25"],
    ]


def test_a_row_without_values_is_not_shown() -> None:
    assert "wait" not in beside(["a"], [("wait", ([None], 1, "{}")), ("x", ([1], 1, "{}"))])


def test_a_target_scaled_to_this_machine_decides_the_verdict() -> None:
    lines = against(
        [
            Target("slow box", 0.5, 0.25, "{:.2f}", here=1.0),
            Target("too much", 1.4, 1.3, "{:.2f}"),
            Target("enough", 6.0, 5.0, "{:.2f}", least=True),
            Target("unknown", None, 5.0, "{:.2f}"),
        ]
    )
    verdicts = {line.split("  ")[0]: line.split()[-1] for line in lines.splitlines()[1:]}
    assert verdicts == {"slow box": "met", "too much": "missed", "enough": "met"}


def test_percentiles_are_measured_values() -> None:
    values = [0.3, 0.1, 0.2, 0.4]
    assert [percentile(values, percent) for percent in (50, 90, 100)] == [0.2, 0.4, 0.4]
    assert percentile([], 50) is None
