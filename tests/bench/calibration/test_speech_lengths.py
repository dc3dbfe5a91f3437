"""bench.calibration.speech_lengths: pauses and seconds of speech by the VAD."""

from __future__ import annotations

import pytest

from bench.calibration.speech_lengths import (
    lengths_table,
    longest_pause,
    pauses_table,
    speech_seconds,
)

WINDOW = 0.032  # seconds


def test_the_longest_pause_lies_between_two_stretches_of_speech() -> None:
    heard = [0.0] * 9 + [0.9] * 10 + [0.1] * 5 + [0.9] * 4 + [0.1] * 12 + [0.9] * 3 + [0.0] * 30
    assert longest_pause(heard) == pytest.approx(12 * WINDOW)
    assert longest_pause([0.9] * 10) == 0


def test_pauses_and_silence_do_not_count_as_speech() -> None:
    assert speech_seconds([0.0] * 5 + [0.9] * 10 + [0.0] * 8) == pytest.approx(10 * WINDOW)


def test_the_tables_count_commands_with_a_pause_and_utterances_with_little_speech() -> None:
    rows = [line.split() for line in pauses_table([0.0, 0.35]).splitlines()]
    assert ["0.32", "s", "1", "(50.0%)"] in rows
    assert ["0.4", "s", "0", "(0.0%)"] in rows
    lines = lengths_table({"interjections": [0.4], "commands": [0.75, 2.0]}).splitlines()
    assert lines[-2].split() == ["1", "s", "1", "1"]
