"""Tokens of onnx-asr: words, times and log-probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from wyoming_faster_whisper.engine.onnx.hypothesis import Tokens, to_tokens, words_of_tokens


@dataclass
class Result:
    text: str
    timestamps: list[float] | None = None
    tokens: list[str] | None = None
    logprobs: list[float] | None = None


HEARD = Tokens(
    "turn on the fan",
    (" tur", "n", " on", " the", " fan"),
    (0.4, 0.56, 0.8, 0.96, 1.2),
    (-0.1, -0.3, -0.2, 0.0, -0.4),
)


def test_a_result_keeps_what_belongs_to_every_token() -> None:
    found = to_tokens(Result(" turn on ", [0.4, 0.8], [" turn", " on"], [-0.5, -0.1]))
    assert found == Tokens("turn on", (" turn", " on"), (0.4, 0.8), (-0.5, -0.1))
    assert found.avg_logprob == pytest.approx(-0.3)
    assert to_tokens(Result("hi", [0.4], [" h", "i"], None)) == Tokens("hi", (" h", "i"))


def test_logits_are_not_taken_for_log_probabilities() -> None:
    assert to_tokens(Result("hi", None, [" hi"], [12.5])).logprobs == ()


def test_values_that_are_not_numbers_are_noticed() -> None:
    assert not to_tokens(Result("hi", None, [" hi"], [math.nan])).finite
    assert HEARD.finite


def test_words_begin_at_their_first_token_and_end_at_the_next_word() -> None:
    words = words_of_tokens(HEARD, HEARD.text, 0.0, 3.0)
    assert [word.text for word in words] == ["turn", "on", "the", "fan"]
    assert [(word.start, word.end) for word in words] == [
        pytest.approx(times) for times in ((0.4, 0.8), (0.8, 0.96), (0.96, 1.2), (1.2, 1.7))
    ]
    assert words[0].probability == pytest.approx(math.exp(-0.2))


def test_times_count_from_the_first_sample_of_the_job() -> None:
    first, *_, last = words_of_tokens(HEARD, HEARD.text, 0.5, 1.0)
    assert [first.start, first.end] == pytest.approx([0.0, 0.3])
    assert last.end == 1.0


def test_a_corrected_name_has_the_time_of_what_it_replaces() -> None:
    words = words_of_tokens(HEARD, "turn on the Big Fan", 0.0, 3.0)
    assert [word.text for word in words] == ["turn", "on", "the", "Big", "Fan"]
    assert [(word.start, word.end) for word in words[3:]] == [
        pytest.approx((1.2, 1.45)),
        pytest.approx((1.45, 1.7)),
    ]


def test_a_model_without_times_gives_no_words() -> None:
    assert words_of_tokens(Tokens("turn on"), "turn on", 0.0, 1.0) == ()
