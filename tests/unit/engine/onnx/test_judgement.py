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

FITTED = Thresholds(doubtful=-0.7, no_speech=-3.0, no_speech_uncertain=-1.0)
SURE = Job(np.zeros(16_000, np.float32))
UNSURE = Job(np.zeros(16_000, np.float32), certain_speech=False)
LOOP = "off the off the off the off the"


@pytest.mark.parametrize(
    ("job", "text", "avg_logprob", "judgement"),
    [
        (SURE, "Turn on the fan.", -0.1, Judgement.ACCEPT),
        (SURE, "Turn on the fan.", -0.8, Judgement.DOUBTFUL),
        (SURE, LOOP, -0.1, Judgement.DOUBTFUL),
        (SURE, "Zzz.", -3.1, Judgement.NO_SPEECH),
        (SURE, "...", -0.1, Judgement.NO_SPEECH),
        (UNSURE, "Turn on the fan.", -0.1, Judgement.ACCEPT),
        (UNSURE, "Turn on the fan.", -1.1, Judgement.NO_SPEECH),
        (UNSURE, LOOP, -0.1, Judgement.NO_SPEECH),
    ],
)
def test_a_text_is_judged_by_its_probability_and_its_loops(
    job: Job, text: str, avg_logprob: float, judgement: Judgement
) -> None:
    assert judge(heard(text, avg_logprob=avg_logprob), job, FITTED) is judgement


def test_the_most_probable_text_without_a_loop_is_the_answer() -> None:
    assert without_loop(heard(LOOP, "Turn it off.")) == "Turn it off."


def test_a_loop_without_an_alternative_is_said_once() -> None:
    assert without_loop(heard("Turn it " + LOOP)) == "Turn it off the"


def test_a_text_without_a_final_mark_may_change() -> None:
    assert unfinished(heard("Turn on the"), FITTED)
    assert not unfinished(heard("Turn on the fan."), FITTED)
