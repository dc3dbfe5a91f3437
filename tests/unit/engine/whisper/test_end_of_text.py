"""End-of-text step: scores for every job that asks for them, alone and in a batch."""

from __future__ import annotations

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.testing import silence
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


def test_a_batch_is_scored_at_once_and_not_encoded_again() -> None:
    model = FakeAcousticModel([heard(LIGHTS), heard(DOOR), heard("")])
    found = decode(
        model,
        spoken(2.0, score_end=True),
        spoken(3.0, score_end=True),
        spoken(2.0, score_end=True),
    )
    ends = [one.end_scores and one.end_scores.text_end for one in found]
    assert ends == [2.0, 3.0, None]
    assert model.ends_scored == [(LIGHTS, DOOR, "")]
    assert len(model.encoded) == 1


def test_only_the_jobs_of_a_batch_that_ask_are_scored() -> None:
    model = FakeAcousticModel([heard(LIGHTS), heard(DOOR)])
    found = decode(model, spoken(2.0), spoken(3.0, score_end=True))
    assert [one.end_scores is not None for one in found] == [False, True]
    assert model.ends_scored == [("", DOOR)]


def test_texts_in_two_languages_are_scored_with_a_prompt_each() -> None:
    model = FakeAcousticModel(
        [heard(LIGHTS), heard("Mach das Licht aus.")],
        languages=[{"en": 0.9, "de": 0.1}, {"de": 0.8, "en": 0.2}],
        multilingual=True,
    )
    found = decode(model, *(Job(silence(2.0), DecodeOptions(), score_end=True) for _ in "ab"))
    assert all(one.end_scores is not None for one in found)
    assert sorted(model.ends_scored) == [("", "Mach das Licht aus."), (LIGHTS, "")]


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
