"""bench.calibration.end_of_turn: what is lost without a feature."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from bench.calibration.end_of_turn import EndOfText, ablation
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.speech.prosody import Prosody
from wyoming_faster_whisper.speech.turn_classifier import EndOfTextScores


def ends() -> list[EndOfText]:
    """Return ends that only the full stop and the last word tell apart, the latter less well."""
    chance = random.Random(0)

    def value(whole: bool, apart: float) -> float:
        return chance.gauss(-2.0 if whole else -2.0 - apart, 1.0)

    return [
        EndOfText(
            speaker=str(number % 20),
            condition="clean",
            whole=whole,
            seconds=2.0,
            text="Turn it on.",
            scores=EndOfTextScores(
                full_stop=value(whole, 3.0),
                dash=value(whole, 0.0),
                ellipsis=value(whole, 0.0),
                last_word=-abs(value(whole, 1.0)),
                text_end=1.0,
            ),
            prosody=Prosody(
                end=1.0 + chance.uniform(0, 0.2),
                loudness=chance.uniform(-20, 0),
                harmonicity=chance.random(),
                spectral_tilt=chance.uniform(-10, 10),
                final_loudness=chance.uniform(-20, 0),
            ),
        )
        for number in range(200)
        for whole in (False, True)
    ]


def rows(table: str, *names: str) -> Sequence[float]:
    """Return the change of the loss in each of these rows."""
    found = {line.rsplit(maxsplit=9)[0]: line.rsplit(maxsplit=9) for line in table.splitlines()}
    return [float(found[name][2]) for name in names]


@pytest.fixture(scope="module")
def table() -> str:
    return ablation(ends(), ENGLISH.end_of_turn)


def test_a_feature_that_matters_costs_more_than_one_that_does_not(table: str) -> None:
    stop, last_word, dash = rows(table, "full stop", "last word", "dash")
    assert stop > 10 * last_word > 0
    assert abs(dash) < 0.002


def test_the_feature_that_matters_most_is_the_last_to_go(table: str) -> None:
    *_, last = table.splitlines()
    assert last.startswith("and last word ")
