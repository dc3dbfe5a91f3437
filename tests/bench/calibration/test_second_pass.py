"""bench.calibration.second_pass: the answer for each threshold follows from one decode."""

from __future__ import annotations

from dataclasses import replace

from bench.calibration.second_pass import GAPS, PENALTIES, Heard, table
from tests.support.calibration import ENGLISH

# Only the second pass is right. Another hypothesis is 0.03 less probable.
ORDER = Heard(
    condition="clean",
    doubtful=False,
    logprob=-0.35,
    close={gap: gap > 0.03 for gap in GAPS},
    penalised={penalty: penalty >= 2 for penalty in PENALTIES},
    plain=False,
    full=True,
    both=True,
)


def test_a_second_pass_is_made_for_low_scores_close_hypotheses_and_doubtful_texts() -> None:
    assert not ORDER.right(-0.4, 0.02)
    assert ORDER.right(-0.3, 0.02)
    assert ORDER.right(-0.4, 0.05)
    assert replace(ORDER, doubtful=True).right(-0.4, 0.02)


def test_the_table_has_a_row_for_each_penalty_threshold_and_gap() -> None:
    right = replace(ORDER, plain=True, both=False)
    lines = table([ORDER, right], ["clean"], ENGLISH.hallucination).splitlines()
    rows = {line[:50].strip(): line.split()[-3:] for line in lines}
    [one] = [cells for name, cells in rows.items() if name.startswith("OOV penalty 1")]
    assert one[-1] == "0.0%"
    [two] = [cells for name, cells in rows.items() if name.startswith("OOV penalty 2")]
    assert two[-1] == "100.0%"
    close = [line for line in lines if "closer than" in line]
    assert [line.split()[-1] for line in close] == ["0%", "0%", "100%", "100%", "100%", "100%"]
