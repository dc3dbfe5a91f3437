"""bench.calibration.hallucination: what each threshold makes of the same first passes."""

from __future__ import annotations

from dataclasses import asdict

from bench.calibration.hallucination import CHANGES, NOISE, ORDERS, Heard, settings, table
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded

FITTED = ENGLISH.hallucination


def heard(kind: str, *, certain: bool, logprob: float, no_speech: float) -> Heard:
    decoded = Decoded("turn on the light", 5, logprob, no_speech, budget=50)
    odds = ENGLISH.speech.log_odds(decoded, 0.9 if certain else 0.4, 0.5)
    return Heard(kind, "sound", certain, 1.0, odds, decoded)


def test_one_threshold_changes_at_a_time() -> None:
    for name, thresholds in settings(FITTED):
        changed = {
            key for key, value in asdict(thresholds).items() if value != getattr(FITTED, key)
        }
        assert changed == ({name.split()[0]} & CHANGES.keys())


def test_the_table_counts_accepted_texts_and_second_passes() -> None:
    order = heard(ORDERS, certain=True, logprob=-0.2, no_speech=0.1)
    unlikely = heard(ORDERS, certain=True, logprob=-0.6, no_speech=0.1)
    noise = heard(NOISE, certain=False, logprob=-2.0, no_speech=0.9)
    lines = table([order, unlikely, noise], FITTED).splitlines()
    assert lines[0].split("  ")[-2:] == ["no speech, unsure (1)", "orders, sure (2)"]
    rows = {line.split("  ")[0]: line.split()[-6:] for line in lines}
    assert rows["as calibrated"] == ["0", "+", "0", "1", "+", "1"]
    assert rows["min_logprob -0.6"] == ["0", "+", "0", "2", "+", "0"]
