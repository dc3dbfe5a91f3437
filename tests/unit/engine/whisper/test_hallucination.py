"""Hallucination check: which texts are accepted, emptied or decoded again."""

from __future__ import annotations

from functools import partial

import pytest

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.whisper import hallucination
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded, Verdict, fragile

from .results import decoded, heard

judge_hypothesis = partial(hallucination.judge_hypothesis, thresholds=ENGLISH.hallucination)
unfinished = partial(hallucination.unfinished, min_logprob=ENGLISH.hallucination.min_logprob)


def test_a_likely_text_is_accepted() -> None:
    assert judge_hypothesis(decoded(), certain_speech=True) is Verdict.ACCEPT
    assert judge_hypothesis(decoded(), certain_speech=False) is Verdict.ACCEPT


def test_an_unlikely_text_is_decoded_again() -> None:
    assert judge_hypothesis(decoded(logprob=-0.45), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(logprob=-0.35), certain_speech=True) is Verdict.ACCEPT


def test_a_text_that_did_not_end_is_decoded_again() -> None:
    assert judge_hypothesis(decoded(tokens=30), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(tokens=30), certain_speech=False) is Verdict.NO_SPEECH


def test_a_loop_is_decoded_again() -> None:
    loop = "turn on the light turn on the light"
    assert judge_hypothesis(decoded(loop), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(loop), certain_speech=False) is Verdict.NO_SPEECH


def test_a_text_without_words_counts_as_no_speech() -> None:
    for text in ("", "...", " ♪ ", "!"):
        assert judge_hypothesis(decoded(text), certain_speech=True) is Verdict.NO_SPEECH


def test_words_that_were_made_up_count_as_no_speech() -> None:
    for certain in (True, False):
        verdict = judge_hypothesis(decoded(), certain_speech=certain, speech_odds=-0.1)
        assert verdict is Verdict.NO_SPEECH


def test_words_that_may_be_made_up_are_decoded_again() -> None:
    def verdict(odds: float, *, certain: bool = True) -> Verdict:
        return judge_hypothesis(decoded(), certain_speech=certain, speech_odds=odds, sure=2.0)

    assert verdict(-1.9) is verdict(1.9) is Verdict.SECOND_PASS
    assert verdict(2.1) is Verdict.ACCEPT
    assert verdict(-2.1) is Verdict.NO_SPEECH
    assert verdict(0.1, certain=False) is Verdict.ACCEPT
    assert verdict(-0.1, certain=False) is Verdict.NO_SPEECH


@pytest.mark.parametrize(
    "text",
    [
        "Call 1234.",
        "Wake me at 7:45 please.",
        "Yes.",
        "Lights off!",
        "关灯。",
        "Turn it off, turn it off in the hall.",
        "No, no, never mind.",
    ],
)
def test_digits_repetitions_and_one_word_texts_are_decoded_again(text: str) -> None:
    assert fragile(text)
    assert judge_hypothesis(decoded(text), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(text), certain_speech=False) is Verdict.ACCEPT


@pytest.mark.parametrize(
    "text", ["Turn off the light.", "打开客厅的灯。", "電気をつけてください。", "เปิดไฟในห้องครัว"]
)
def test_words_are_counted_in_every_script(text: str) -> None:
    assert not fragile(text)
    assert judge_hypothesis(decoded(text), certain_speech=True) is Verdict.ACCEPT


def test_a_close_hypothesis_with_other_words_causes_a_second_pass() -> None:
    first = heard(("Turn on the lamp.", -1.0), ("Turn on the ramp.", -1.03))
    assert judge_hypothesis(first, certain_speech=True) is Verdict.SECOND_PASS
    apart = heard(("Turn on the lamp.", -1.0), ("Turn on the ramp.", -1.4))
    assert judge_hypothesis(apart, certain_speech=True) is Verdict.ACCEPT


def test_a_close_hypothesis_that_differs_only_in_punctuation_does_not() -> None:
    first = heard(("Turn on the lamp.", -1.0), ("turn on the lamp", -1.0))
    assert judge_hypothesis(first, certain_speech=True) is Verdict.ACCEPT


def test_counts_and_close_hypotheses_in_more_audio_than_a_command_cause_no_second_pass() -> None:
    text = "In 1969, in July, they landed on the moon."
    close = heard((text, -1.0), (text.replace("moon", "mood"), -1.01))
    assert judge_hypothesis(close, certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(close, certain_speech=True, long=True) is Verdict.ACCEPT


def test_loops_and_unlikely_or_very_short_texts_in_more_audio_than_a_command_do() -> None:
    unlikely = decoded("It rained all day.", logprob=-0.7)
    for first in (decoded("and so on " * 9), unlikely, decoded("Thank you.")):
        verdict = judge_hypothesis(first, certain_speech=True, long=True)
        assert verdict is Verdict.SECOND_PASS


def test_long_certain_speech_is_decoded_again_before_it_counts_as_no_speech() -> None:
    for first, odds in ((decoded(""), 9.0), (decoded("Oh no, what's that?"), -0.1)):

        def verdict(
            seconds: float, *, certain: bool = True, first: Decoded = first, odds: float = odds
        ) -> Verdict:
            return judge_hypothesis(
                first, certain_speech=certain, speech_odds=odds, speech_seconds=seconds
            )

        assert verdict(3.1) is Verdict.SECOND_PASS
        assert verdict(2.9) is Verdict.NO_SPEECH
        assert verdict(3.1, certain=False) is Verdict.NO_SPEECH


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Turn off the light.", False),
        ("What time is it?", False),
        ("打开灯。", False),
        ("Turn off the", True),
        ("Turn off the,", True),
        ("", True),
    ],
)
def test_a_text_without_a_final_mark_is_unfinished(text: str, yes: bool) -> None:
    assert unfinished(decoded(text)) is yes


def test_an_unlikely_or_overlong_text_is_unfinished() -> None:
    assert unfinished(decoded("Turn off the light.", logprob=-0.45))
    assert unfinished(decoded("Turn off the light.", tokens=30))
