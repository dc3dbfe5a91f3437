"""bench.calibration.non_speech: sounds left and speech lost, at thresholds that speech sets."""

from __future__ import annotations

from bench.calibration.non_speech import Heard, table, validated
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded


def segments(kind: str, *, spoken: bool, logprob: float, count: int = 20) -> list[Heard]:
    return [
        Heard(
            kind,
            f"{kind} {number}",
            spoken,
            "en",
            0.9,
            Decoded("turn it off", 4, logprob - number / 100, 0.1, budget=50),
            in_use=0.1,
        )
        for number in range(count)
    ]


def test_the_table_counts_what_is_left_and_lost() -> None:
    heard = [
        *segments("sneezes", spoken=False, logprob=-1.0),
        *segments("orders", spoken=True, logprob=-0.3),
    ]
    odds = validated(heard, range(4))
    assert odds[:20].max() < odds[20:].min()
    rows = [line.split() for line in table(heard).splitlines()]
    assert rows[0][-4:] == ["orders,", "lost", "of", "20"]
    assert rows[1][-2:] == ["20", "0"]  # the weights in use take all for speech
    assert rows[2][-2:] == ["0", "0"]
    assert next(row for row in rows if row[:2] == ["without", "avg_logprob,"])[-2] == "20"
