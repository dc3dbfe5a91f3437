"""bench.calibration.non_speech: sounds left and speech lost, at thresholds that speech sets."""

from __future__ import annotations

import numpy as np

from bench.calibration.non_speech import Heard, Sound, answers_table, table, validated
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded


def segments(kind: str, *, spoken: bool, logprob: float, count: int = 20) -> list[Heard]:
    return [
        Heard(
            kind,
            f"{kind} {number}",
            spoken,
            "en",
            0.9,
            0.5,
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
    # Nothing else tells them apart, so all are taken for the same.
    alike = next(row for row in rows if row[:2] == ["without", "avg_logprob,"])
    assert sum(map(int, alike[-2:])) == 20


def sound(kind: str, language: str, *, spoken: bool) -> Sound:
    return Sound(kind, "one", spoken, language, lambda: np.zeros(0, np.float32))


def test_sounds_are_counted_by_language_and_speech_by_english_or_not() -> None:
    sounds = [
        sound("sneezes", "de", spoken=False),
        sound("sneezes", "de", spoken=False),
        sound("sneezes", "ru", spoken=False),
        sound("words", "de", spoken=True),
        sound("words", "ru", spoken=True),
    ]
    rows = [
        line.rsplit("  ", 1)
        for line in answers_table(sounds, [True, False, False, True, True]).splitlines()
    ]
    assert [[cell.strip() for cell in row] for row in rows[1:]] == [
        ["sneezes, de", "1 of 2"],
        ["sneezes, ru", "0 of 1"],
        ["words, other languages", "2 of 2"],
    ]
