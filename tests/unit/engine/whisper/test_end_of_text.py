"""End-of-text step: scores for a job that asks for them."""

from __future__ import annotations

from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import decode, spoken

LIGHTS, DOOR = "Turn on the lights.", "Open the door now."


def test_a_job_gets_scores_only_if_it_asks() -> None:
    model = FakeAcousticModel(heard(LIGHTS))
    [scored] = decode(model, spoken(2.0, score_end=True))
    [plain] = decode(model, spoken(2.0))
    assert scored.end_scores is not None
    assert plain.end_scores is None
    assert model.ends_scored == [(LIGHTS,)]


def test_an_empty_text_has_no_end() -> None:
    model = FakeAcousticModel(heard(""))
    [found] = decode(model, spoken(2.0, score_end=True))
    assert found.end_scores is None
    assert model.ends_scored == []


def test_the_end_is_counted_from_the_first_sample_and_not_from_the_leading_silence() -> None:
    model = FakeAcousticModel(heard(LIGHTS))
    [found] = decode(model, spoken(2.0, score_end=True, leading_silence=6400))
    assert found.end_scores is not None
    assert found.end_scores.text_end == 2.0


def test_the_scores_are_of_the_first_pass() -> None:
    model = FakeAcousticModel(heard(LIGHTS, avg_logprob=-1.0), heard(DOOR), likely=[DOOR])
    [found] = decode(model, spoken(2.0, score_end=True))
    assert found.text == DOOR
    assert model.ends_scored == [(LIGHTS,)]
