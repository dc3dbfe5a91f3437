"""bench.calibration.spoken_numbers: false alarms of the coverage check."""

from __future__ import annotations

from dataclasses import replace

from bench.calibration.spoken_numbers import Aligned, by_digits, table
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.whisper.coverage import Alignment
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded

# "1969" takes 1.2 s.
YEAR = Aligned(
    Decoded("It was 1969.", 4, -0.1, 0.0, budget=50),
    Alignment(("It", " was", " 1969", "."), (0.0, 0.2, 0.4, 1.6), 1.7, (-0.1,) * 4),
    ((0.0, 1.7),),
)


def test_more_time_for_digits_spares_a_number() -> None:
    assert not YEAR.flagged(ENGLISH.coverage)
    assert YEAR.flagged(replace(ENGLISH.coverage, per_digit=0.0))


def test_an_utterance_with_less_speech_than_the_least_is_not_aligned() -> None:
    limits = replace(ENGLISH.coverage, per_digit=0.0)
    assert not YEAR.checked(replace(limits, least_spoken=2.0))
    assert not YEAR.flagged(replace(limits, least_spoken=2.0))


def test_the_tables_show_speech_by_digits_and_flagged_texts() -> None:
    assert by_digits([YEAR]).splitlines()[-1].split() == "4 1 1.20 s 1.20 s 1.20 s".split()
    rows = [line.split() for line in table([YEAR], ENGLISH.coverage).splitlines()]
    assert ["as", "calibrated", "1", "0"] in rows
    assert ["per_digit", "0", "s", "1", "1"] in rows
