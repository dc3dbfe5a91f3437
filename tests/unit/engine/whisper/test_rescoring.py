"""Rescoring: the choice among the n-best hypotheses of one or two passes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.whisper import rescoring
from wyoming_faster_whisper.engine.whisper.rescoring import hypotheses_of

from .results import decoded, heard

prefer_in_vocabulary = partial(rescoring.prefer_in_vocabulary, weights=ENGLISH.rescoring)
rescore = partial(rescoring.rescore, weights=ENGLISH.rescoring)


def no_word_is_strange(text: str) -> int:
    return 0


def mocos(text: str) -> int:
    return text.count("moco")


def test_the_text_that_is_likely_in_both_passes_wins() -> None:
    first = decoded("cut the lights", logprob=-0.5)
    likely = {
        "cut the lights": [-2.0, -9.0],
        "put the lights": [-8.0, -1.5],
        "turn the lights": [-3.0, -2.5],
    }
    chosen = rescore(first, likely, no_word_is_strange)
    assert chosen.text == "turn the lights"
    assert chosen.alternatives == ("put the lights", "cut the lights")


def test_hypotheses_of_both_passes_that_differ_in_their_words_are_rescored() -> None:
    first = replace(decoded("Cut it."), alternatives=("cut it", "Put it.", "Shut it."))
    second = replace(decoded("Put it!"), alternatives=("", "Cut 8."))
    assert hypotheses_of(first, second) == ["Cut it.", "Put it.", "Cut 8."]


def test_a_hypothesis_cut_off_from_another_is_not_rescored() -> None:
    first = replace(decoded("Stop."), alternatives=("Stop the music now.", "Stop the"))
    assert hypotheses_of(first) == ["Stop the music now."]
    # One more word does not make the shorter text cut off: it may not have been spoken.
    second = replace(decoded("Stop it."), alternatives=("Stop it now.",))
    assert hypotheses_of(second) == ["Stop it.", "Stop it now."]


def test_a_repetition_of_a_hypothesis_does_not_make_it_count_as_cut_off() -> None:
    first = replace(decoded("Turn it off."), alternatives=("Turn it off. Turn it off.",))
    assert hypotheses_of(first) == ["Turn it off.", "Turn it off. Turn it off."]


def test_the_first_pass_wins_if_neither_has_words() -> None:
    first = decoded("", logprob=-0.5)
    assert rescore(first, {}, no_word_is_strange) is first


def test_a_text_with_fewer_oov_words_wins_if_it_is_nearly_as_likely() -> None:
    first = heard(("a moco", -1.0), ("a mock", -5.0), ("a mocha", -2.5))
    found = prefer_in_vocabulary(first, mocos)
    assert (found.text, found.alternatives) == ("a mocha", ("a moco", "a mock"))
    assert found.scores == (-2.5, -1.0, -5.0)
    assert found.avg_logprob == first.avg_logprob


@pytest.mark.parametrize(
    "texts",
    [
        (("a moco", -1.0), ("a mocha", -3.5)),  # much less likely
        (("a moco", -1.0), ("the moco", -1.1)),  # as many OOV words
        (("a mock", -1.0), ("a mocha", -1.1)),
        (("a moco", -1.0), ("", -1.1)),  # no words at all
        (("A mock. A moco, please.", -1.0), ("A mock.", -1.1)),  # truncated
        (("A mock. A moco, please.", -1.0), ("Amok.", -1.1)),  # and with other words
        (("a moco", -1.0),),
    ],
)
def test_the_first_text_wins_if_no_alternative_is_better(
    texts: tuple[tuple[str, float], ...],
) -> None:
    assert prefer_in_vocabulary(heard(*texts), mocos) == heard(*texts)


def test_a_text_without_the_spaces_of_another_is_not_truncated() -> None:
    first = heard(
        ("Order a moco for the bed room cup board.", -1.0),
        ("Order a mocha for the bedroom cupboard.", -1.5),
    )
    assert prefer_in_vocabulary(first, mocos).text.startswith("Order a mocha")


def test_a_text_with_fewer_oov_words_also_wins_after_two_passes() -> None:
    likely = {"a moco": [-1.0, -1.0], "a mocha": [-2.5, -2.5], "a mock": [-3.5, -3.5]}
    assert rescore(decoded(), likely, mocos).text == "a mocha"
    assert rescore(decoded(), likely, no_word_is_strange).text == "a moco"
