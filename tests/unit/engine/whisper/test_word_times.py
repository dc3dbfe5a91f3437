"""Word-times step: when each word of a text was spoken."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions, TokenLogprob, Word
from wyoming_faster_whisper.testing.acoustic_model import CONFIDENT, FakeAcousticModel, heard

from .jobs import decode, spoken

TIMED = DecodeOptions(language="en", word_times=True)
TEXT = "Turn on the light."


def model(*starts: float) -> FakeAcousticModel:
    return FakeAcousticModel(heard(TEXT), starts={TEXT: starts})


def test_words_have_the_times_of_the_alignment() -> None:
    job = spoken(3.0, (0.5, 2.0), options=TIMED)
    [transcript] = decode(model(0.5, 0.9, 1.2, 1.4, 2.0), job)
    probability = math.exp(CONFIDENT)
    assert [replace(word, tokens=()) for word in transcript.words] == [
        Word("Turn", 0.5, 0.9, probability),
        Word("on", 0.9, 1.2, probability),
        Word("the", 1.2, 1.4, probability),
        Word("light.", 1.4, 2.0, probability),
    ]
    assert transcript.token_logprobs == ()


def test_the_tokens_of_the_words_are_those_of_the_text() -> None:
    job = spoken(3.0, (0.5, 2.0), options=TIMED)
    [transcript] = decode(model(0.5, 0.9, 1.2, 1.4, 2.0), job)
    assert all(word.tokens for word in transcript.words)
    assert tuple(each for word in transcript.words for each in word.tokens) == transcript.tokens


def test_the_log_probability_of_each_token_is_given_on_request() -> None:
    options = DecodeOptions(language="en", token_logprobs=True)
    [transcript] = decode(
        model(0.5, 0.9, 1.2, 1.4, 2.0), spoken(3.0, (0.5, 2.0), options=options)
    )
    assert transcript.token_logprobs[0] == TokenLogprob(" Turn", b" Turn", CONFIDENT)
    assert "".join(each.token for each in transcript.token_logprobs) == f" {TEXT}"
    assert transcript.words == ()


def test_words_and_tokens_take_one_alignment() -> None:
    acoustic = FakeAcousticModel(heard(TEXT, tokens=20))  # too dense for the coverage check
    options = DecodeOptions(language="en", word_times=True, token_logprobs=True)
    [transcript] = decode(acoustic, spoken(3.0, (0.5, 2.0), options=options))
    assert len(transcript.words) == len(transcript.token_logprobs) == 4
    assert acoustic.aligned == [TEXT]


def test_a_word_ends_with_its_stretch_of_speech_and_not_after_the_pause() -> None:
    job = spoken(5.0, (0.5, 1.3), (3.0, 4.0), options=TIMED)
    [transcript] = decode(model(0.5, 0.9, 3.0, 3.4, 4.4), job)
    assert [word.end for word in transcript.words] == [0.9, 1.3, 3.4, 4.0]


def test_a_word_begins_with_its_stretch_of_speech_and_not_in_the_pause_before() -> None:
    job = spoken(5.0, (1.5, 2.3), (3.0, 4.0), options=TIMED)
    [transcript] = decode(model(0.0, 1.9, 2.5, 3.4, 4.4), job)
    assert [word.start for word in transcript.words] == [1.5, 1.9, 3.0, 3.4]


def test_a_word_before_the_first_window_of_speech_begins_shortly_before_it() -> None:
    job = spoken(5.0, (1.5, 2.3), options=TIMED)
    [transcript] = decode(model(1.0, 1.5, 1.7, 1.9, 2.2), job)
    assert [word.start for word in transcript.words] == pytest.approx([1.4, 1.5, 1.7, 1.9])


def test_times_are_counted_from_the_first_sample_of_the_job() -> None:
    job = spoken(2.0, (0.0, 1.7), options=TIMED, leading_silence=SAMPLE_RATE // 2)
    [transcript] = decode(model(0.4, 0.9, 1.2, 1.4, 2.2), job)
    assert [word.start for word in transcript.words] == pytest.approx([0.0, 0.4, 0.7, 0.9])
    assert transcript.words[-1].end == pytest.approx(1.7)


def test_words_are_aligned_only_on_request() -> None:
    [transcript] = decode(model(0.5, 0.9, 1.2, 1.4, 2.0), spoken(3.0, (0.5, 2.0)))
    assert transcript.words == ()
    assert transcript.tokens


def test_an_empty_text_has_no_words() -> None:
    [transcript] = decode(FakeAcousticModel(heard("")), spoken(3.0, (0.5, 2.0), options=TIMED))
    assert (transcript.text, transcript.words, transcript.tokens) == ("", (), ())
