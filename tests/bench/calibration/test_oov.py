"""bench.calibration.oov: word errors by penalty per out-of-vocabulary word."""

from __future__ import annotations

from bench.calibration.oov import PENALTIES, rescored, table
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded


def test_a_penalty_prefers_known_words_and_the_table_counts_what_that_corrects() -> None:
    decoded = Decoded(
        "Vuqua grande",
        tokens=4,
        avg_logprob=-0.2,
        no_speech_prob=0.0,
        budget=100,
        alternatives=("Buca grande",),
        scores=(-1.0, -2.5),
    )
    one = rescored("it", "a.wav", "buca grande", decoded, frozenset({"buca", "grande"}))
    assert one.words == 2
    assert one.wrong == tuple(int(penalty < 1.5) for penalty in PENALTIES)
    assert table([one]).splitlines()[1].split() == "it 1 2 1 1 1 0 0 1, 0 0".split()
