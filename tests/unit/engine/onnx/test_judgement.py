"""What the Moonshine engine does with a decoded text."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.engine.onnx.moonshine.judgement import (
    Judgement,
    Thresholds,
    judge,
    unfinished,
    without_loop,
)
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing.acoustic_model import heard

FITTED = Thresholds(
    doubtful=-0.7,
    no_speech=-0.6,
    no_speech_prob=0.8,
    uncertain_no_speech=-1.0,
    uncertain_no_speech_prob=0.5,
    name_bonus=6.0,
)
SURE = Job(np.zeros(16_000, np.float32))
UNSURE = Job(np.zeros(16_000, np.float32), certain_speech=False)
LOOP = "off the off the off the off the"


@pytest.mark.parametrize(
    ("job", "text", "avg_logprob", "no_speech_prob", "judgement"),
    [
        (SURE, "Turn on the fan.", -0.1, 0.0, Judgement.ACCEPT),
        (SURE, "Turn on the fan.", -0.8, 0.0, Judgement.DOUBTFUL),
        (SURE, LOOP, -0.1, 0.0, Judgement.DOUBTFUL),
        (SURE, "...", -0.1, 0.0, Judgement.NO_SPEECH),
        (SURE, "Turn on the fan.", -0.5, 0.9, Judgement.ACCEPT),
        (SURE, "Zzz.", -0.65, 0.9, Judgement.NO_SPEECH),
        (SURE, "Zzz.", -0.65, 0.7, Judgement.ACCEPT),
        (UNSURE, "Turn on the fan.", -0.1, 0.0, Judgement.ACCEPT),
        (UNSURE, "Turn on the fan.", -1.1, 0.0, Judgement.NO_SPEECH),
        (UNSURE, "Turn on the fan.", -0.1, 0.6, Judgement.NO_SPEECH),
        (UNSURE, LOOP, -0.1, 0.0, Judgement.NO_SPEECH),
    ],
)
def test_a_text_is_judged_by_its_probability_and_its_loops(
    job: Job, text: str, avg_logprob: float, no_speech_prob: float, judgement: Judgement
) -> None:
    decoded = heard(text, avg_logprob=avg_logprob, no_speech_prob=no_speech_prob)
    assert judge(decoded, job, FITTED) is judgement


def test_the_most_probable_text_without_a_loop_is_the_answer() -> None:
    assert without_loop(heard(LOOP, "Turn it off.")) == "Turn it off."


def test_a_loop_without_an_alternative_is_said_once() -> None:
    assert without_loop(heard("Turn it " + LOOP)) == "Turn it off the"


def test_a_text_without_a_final_mark_may_change() -> None:
    assert unfinished(heard("Turn on the"), FITTED)
    assert not unfinished(heard("Turn on the fan."), FITTED)
