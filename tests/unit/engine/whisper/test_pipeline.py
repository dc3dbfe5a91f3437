"""The sequence of steps, over a fake acoustic model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES
from wyoming_faster_whisper.testing import silence, tone
from wyoming_faster_whisper.testing.acoustic_model import CONFIDENT, FakeAcousticModel, heard

from .jobs import ENGLISH, decode, spoken

LIGHTS = "Turn on the lights."
LOOP = " ".join(["Turn on the lights."] * 6)


def test_a_confident_text_takes_one_pass_in_a_short_window() -> None:
    model = FakeAcousticModel(heard(LIGHTS, "Turn on the light."))
    [found] = decode(model, spoken(2.0, (0.4, 1.3)))
    assert (found.text, found.passes, found.verdict) == (LIGHTS, 1, "believe")
    assert found.avg_logprob == CONFIDENT
    assert not found.provisional
    assert [one.frames for one in model.encoded] == [1000]
    assert model.scored == []
    assert model.aligned == []


@pytest.mark.parametrize(("asked", "used"), [(0, 3), (1, 1), (8, 8)])
def test_the_first_pass_uses_the_beam_asked_for_or_the_measured_one(
    asked: int, used: int
) -> None:
    model = FakeAcousticModel(heard(LIGHTS))
    decode(model, Job(silence(2.0), DecodeOptions(language="en", beam_size=asked)), beam=3)
    assert [one.beam for one in model.generated] == [used]


def test_a_second_pass_uses_a_beam_even_after_a_greedy_first_pass() -> None:
    model = FakeAcousticModel(heard(LIGHTS, avg_logprob=-1.0), heard(LIGHTS))
    decode(model, spoken(2.0, (0.4, 1.3)), beam=1)
    assert [one.beam for one in model.generated] == [1, 5]


def test_both_passes_sample_at_the_temperature_asked_for() -> None:
    model = FakeAcousticModel(heard(LIGHTS, avg_logprob=-1.0), heard(LIGHTS))
    options = DecodeOptions(language="en", temperature=0.6)
    [found] = decode(model, spoken(2.0, (0.4, 1.3), options=options))
    assert [one.temperature for one in model.generated] == [0.6, 0.6]
    assert found.temperature == 0.6


def test_without_a_temperature_nothing_is_sampled() -> None:
    model = FakeAcousticModel(heard(LIGHTS))
    [found] = decode(model, spoken(2.0, (0.4, 1.3)))
    assert [one.temperature for one in model.generated] == [0.0]
    assert found.temperature == 0.0


def test_out_of_vocabulary_words_lose_unless_they_are_hotwords() -> None:
    model = FakeAcousticModel(heard("I have a moco.", "I have a mocha."))
    [plain] = decode(model, spoken(2.0, (0.4, 1.3)))
    [named] = decode(model, Job(silence(2.0), DecodeOptions(language="en", hotwords=("Moco",))))
    assert (plain.text, named.text) == ("I have a mocha.", "I have a Moco.")


# Hallucination check.


@pytest.mark.parametrize(("seconds", "passes"), [(9.0, 2), (12.0, 1)])
def test_counts_cause_a_second_pass_of_a_command_and_not_of_a_longer_segment(
    seconds: float, passes: int
) -> None:
    said = heard("Call 1 2 3 4 on Monday.", tokens=60)
    [found] = decode(FakeAcousticModel(said), spoken(seconds, (0.4, seconds - 0.4)))
    assert found.passes == passes


def test_a_hallucination_over_uncertain_speech_is_an_empty_text() -> None:
    model = FakeAcousticModel(heard("Thank you.", avg_logprob=-1.2, no_speech_prob=0.6))
    bark = spoken(3.0, (0.4, 0.8), samples=tone(3.0), certain_speech=False, speech_peak=0.3)
    [found] = decode(model, bark)
    assert (found.text, found.passes, found.verdict) == ("", 1, "empty")


def test_an_empty_text_over_three_seconds_of_speech_gets_a_second_pass() -> None:
    def transcript(end: float) -> tuple[str, int, str]:
        model = FakeAcousticModel(heard(""), heard("Turn on the light.", tokens=15))
        [found] = decode(model, spoken(4.0, (0.4, end)))
        return found.text, found.passes, found.verdict

    assert transcript(3.6) == ("Turn on the light.", 2, "again")
    assert transcript(3.2) == ("", 1, "empty")


def test_the_text_is_empty_if_neither_pass_hears_speech() -> None:
    model = FakeAcousticModel(
        heard("All right then, go.", avg_logprob=-2.0, no_speech_prob=0.9),
        heard("Oh, what is that?", avg_logprob=-2.0, no_speech_prob=0.9),
    )
    [found] = decode(model, spoken(4.0, (0.4, 3.6)))
    assert (found.text, found.passes, found.verdict) == ("", 2, "empty")


@pytest.mark.parametrize(("again", "text"), [(-1.4, ""), (-0.2, "Okay.")])
def test_both_passes_together_tell_whether_a_word_was_made_up(again: float, text: str) -> None:
    model = FakeAcousticModel(
        heard("Okay!", avg_logprob=-0.9, no_speech_prob=0.3),
        heard("Okay.", avg_logprob=again, no_speech_prob=0.3),
    )
    [found] = decode(model, spoken(2.0, (0.4, 0.8), samples=tone(2.0), speech_peak=0.7))
    assert (found.text, found.passes) == (text, 2)


def test_a_whispered_word_is_heard_where_a_bark_is_not() -> None:
    breath = np.random.default_rng(1).normal(0, 0.05, 2 * SAMPLE_RATE).astype(np.float32)
    said = heard("No!", avg_logprob=-1.0, no_speech_prob=0.5)

    def text(samples: Samples) -> str:
        job = spoken(2.0, (0.4, 0.8), samples=samples, speech_peak=0.3)
        [found] = decode(FakeAcousticModel(said), job)
        return found.text

    assert text(breath) == "No!"
    assert text(tone(2.0)) == ""


# Time for a second pass.


def decoded_within(seconds: float, job: Job, *passes: Decoded) -> tuple[str, int, str]:
    """Decode a job with so much time. Every 10 s of an encoder window take one second of it."""
    model = FakeAcousticModel(*passes)
    pipeline = WhisperPipeline(
        model,
        Calibrations("base"),
        clock=lambda: sum(each.frames for each in model.encoded) / 1000,
    )
    [found] = pipeline.decode([replace(job, answer_within=seconds)], 5)
    return found.text, found.passes, found.verdict


@pytest.mark.parametrize(
    ("language", "text", "least"),
    [("en", "Turn on the light.", 2.0), ("en", "Yes.", 4.0), ("da", "Tænd lyset.", 6.0)],
    ids=["slower audio", "full window", "full window first"],
)
def test_a_second_pass_over_a_doubtful_text_must_end_in_time(
    language: str, text: str, least: float
) -> None:
    job = spoken(2.0, (0.4, 1.3), options=DecodeOptions(language=language))
    passes = heard(text, avg_logprob=-0.6), heard(text)
    assert decoded_within(least - 0.1, job, *passes) == (text, 1, "again")
    assert decoded_within(least + 0.1, job, *passes) == (text, 2, "again")


@pytest.mark.parametrize("text", [LOOP, ""], ids=["loop", "no words"])
def test_a_second_pass_over_an_unusable_text_takes_the_time_it_needs(text: str) -> None:
    job = spoken(4.0, (0.4, 3.6))
    found = decoded_within(0.0, job, heard(text, tokens=30), heard(LIGHTS, tokens=15))
    assert found == (LIGHTS, 2, "again")


def test_without_time_for_a_second_pass_the_first_one_tells_whether_a_word_was_made_up() -> None:
    job = spoken(2.0, (0.4, 0.8), samples=tone(2.0), speech_peak=0.7)
    made_up = heard("Okay!", avg_logprob=-1.4, no_speech_prob=0.4)
    assert decoded_within(0.0, job, made_up) == ("", 1, "empty")


# Quick jobs.


@pytest.mark.parametrize(
    ("text", "avg_logprob"),
    [(LOOP, CONFIDENT), ("Yes.", CONFIDENT), ("Call 12334.", CONFIDENT), (LIGHTS, -1.0)],
    ids=["loop", "one word", "code", "unlikely"],
)
def test_a_quick_job_gets_no_second_pass_and_is_provisional(
    text: str, avg_logprob: float
) -> None:
    model = FakeAcousticModel(heard(text, avg_logprob=avg_logprob))
    [found] = decode(model, spoken(2.0, (0.4, 1.3), quick=True))
    assert (found.passes, found.verdict, found.provisional) == (1, "again", True)
    assert found.unusable == (text == LOOP)
    assert len(model.generated) == 1


def test_a_quick_job_with_a_gap_is_provisional_and_the_gap_is_not_filled() -> None:
    model = FakeAcousticModel(heard(LIGHTS), starts={LIGHTS: [0.4, 0.8, 1.0, 1.2, 1.9]})
    [found] = decode(model, spoken(5.0, (0.4, 1.9), (3.0, 4.5), quick=True))
    assert (found.text, found.passes, found.provisional) == (LIGHTS, 1, True)


def test_a_confident_text_of_a_quick_job_is_final() -> None:
    [found] = decode(FakeAcousticModel(heard(LIGHTS)), spoken(2.0, (0.4, 1.3), quick=True))
    assert not found.provisional


def test_a_text_that_breaks_off_is_provisional() -> None:
    [found] = decode(FakeAcousticModel(heard("Turn on the")), spoken(2.0, (0.4, 1.3)))
    assert found.provisional


# Text that was sent already.


def test_the_decoder_continues_the_prefix() -> None:
    model = FakeAcousticModel(heard("Turn on the lights."))
    [found] = decode(model, spoken(2.0, (0.4, 1.3), prefix="Turn on"))
    assert found.text == LIGHTS
    assert model.generated[0].prompts == ("<|en|> <|transcribe|> Turn on",)


@pytest.mark.parametrize("text", ["", "Burn it all down."])
def test_a_prefix_is_never_retracted(text: str) -> None:
    model = FakeAcousticModel(heard(text))
    [found] = decode(model, spoken(2.0, (0.4, 1.3), prefix="Turn on"))
    assert found.text == "Turn on"


def test_a_second_pass_continues_the_prefix_too() -> None:
    model = FakeAcousticModel(heard(LIGHTS, avg_logprob=-1.0), heard(LIGHTS), likely=[LIGHTS])
    decode(model, spoken(2.0, (0.4, 1.3), prefix="Turn on"))
    assert [one.prompts for one in model.generated] == [("<|en|> <|transcribe|> Turn on",)] * 2
    # Scores are of whole texts, and the prefix is part of them.
    assert model.scored[0].prompt == "<|en|> <|transcribe|>"


# Languages.


def test_a_detected_language_is_used_and_reported_with_its_probability() -> None:
    model = FakeAcousticModel(heard(LIGHTS), languages=[{"de": 0.7}], multilingual=True)
    [found] = decode(model, Job(silence(2.0)))
    assert (found.language, found.language_probability) == ("de", 0.7)
    assert model.generated[0].prompts == ("<|de|> <|transcribe|>",)


def test_a_given_language_is_not_detected() -> None:
    model = FakeAcousticModel(heard(LIGHTS), languages=[{"de": 0.7}], multilingual=True)
    [found] = decode(model, Job(silence(2.0), DecodeOptions(language="nl")))
    assert (found.language, found.language_probability) == ("nl", 1.0)


def test_a_model_that_only_knows_english_detects_nothing() -> None:
    model = FakeAcousticModel(heard(LIGHTS), languages=[{"de": 0.7}])
    [found] = decode(model, Job(silence(2.0)))
    assert (found.language, found.language_probability) == ("en", 1.0)


def test_the_expected_language_is_decoded_where_another_is_hardly_more_probable() -> None:
    odds = [{"en": 0.5, "de": 0.4, "nl": 0.1}]
    model = FakeAcousticModel(heard(LIGHTS), languages=odds, multilingual=True)
    home = DecodeOptions(candidate_languages=("en", "de"), expected_language="de")
    [found] = decode(model, Job(silence(2.0), home))
    assert found.language == "de"


# Batches.


def test_a_batch_is_one_pass_with_one_result_per_job_in_order() -> None:
    model = FakeAcousticModel([heard(LIGHTS), heard("Open the door now.")])
    found = decode(model, spoken(2.0, (0.4, 1.3)), spoken(3.0, (0.4, 1.3)))
    assert [one.text for one in found] == [LIGHTS, "Open the door now."]
    assert len(model.encoded) == len(model.generated) == 1


def test_doubtful_jobs_of_a_batch_are_decoded_again_alone() -> None:
    first = heard(LIGHTS, avg_logprob=-1.0)
    model = FakeAcousticModel(
        [first, first], heard("Turn on the light."), likely=["Turn on the light."]
    )
    found = decode(model, spoken(2.0, (0.4, 1.3)), spoken(2.0, (0.4, 1.3)))
    assert [one.text for one in found] == ["Turn on the light."] * 2
    # The batch, then slower sound of each job.
    assert [len(one.features) for one in model.encoded] == [2, 1, 1]


def test_a_job_of_a_batch_is_scored_over_its_own_part_of_the_encoding() -> None:
    home = DecodeOptions(language="en", hotwords=("Ecobee",))
    first = heard("Set the incubi now.", avg_logprob=-1.0)
    again = heard("Set the incubi, no.", avg_logprob=-1.0)
    model = FakeAcousticModel(
        [first, heard(LIGHTS)], again, first, likely=["Set the Ecobee now."]
    )
    jobs = [spoken(2.0, (0.4, 1.3), options=home) for _ in range(2)]
    named, _ = decode(model, *jobs)
    assert named.text == "Set the Ecobee now."
    assert len(model.encoded) == 2  # the batch, and slower sound
    rescored, _, named_texts = model.scored
    [clip] = rescored.encoded
    assert clip.features == model.encoded[0].features[:1]
    assert named_texts.encoded == rescored.encoded


def test_jobs_share_a_batch_if_options_window_and_prefix_are_the_same() -> None:
    pipeline = WhisperPipeline(FakeAcousticModel(), Calibrations("base"))
    job = spoken(2.0, (0.4, 1.3))
    key = pipeline.batch_key(job)
    assert pipeline.batch_key(spoken(5.0, kind=DecodeKind.GUESS, score_end=True)) == key
    assert pipeline.batch_key(spoken(12.0)) != key
    assert pipeline.batch_key(replace(job, prefix="Turn on")) != key
    assert pipeline.batch_key(spoken(2.0, options=replace(ENGLISH, beam_size=1))) != key


def test_a_full_window_may_be_asked_for() -> None:
    model = FakeAcousticModel(heard(LIGHTS))
    WhisperPipeline(model, Calibrations("base"), full_window=True).decode(
        [spoken(2.0, (0.4, 1.3))], 5
    )
    assert [one.frames for one in model.encoded] == [FULL_FRAMES]
