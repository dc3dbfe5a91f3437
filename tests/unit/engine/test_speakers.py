"""Speakers: whether a command is expected, and whether one is being spoken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.engine.protocol import LONGEST_COMMAND
from wyoming_faster_whisper.engine.speakers import Speakers

FOREVER = float("inf")


def test_nobody_is_expected_at_first() -> None:
    assert not Speakers().expected(0.0)
    assert Speakers().until == -FOREVER


def test_a_turn_without_speech_is_expected_to_become_a_command_and_holds_nothing() -> None:
    speakers = Speakers()
    speakers.begin("turn")
    assert speakers.expected(5000.0)
    assert speakers.until == -FOREVER


def test_a_command_is_spoken_until_it_is_over() -> None:
    speakers = Speakers()
    speakers.begin("turn")
    speakers.speak("turn", 3.0)
    assert speakers.until == 3.0 + LONGEST_COMMAND
    speakers.end("turn", 6.0)
    assert speakers.until == -FOREVER


def test_another_command_is_expected_for_a_minute() -> None:
    speakers = Speakers()
    speakers.begin("turn")
    speakers.end("turn", 6.0)
    assert speakers.expected(65.9)
    assert not speakers.expected(66.0)


@pytest.mark.parametrize("ended", [False, True])
def test_a_turn_that_is_unknown_or_over_changes_nothing(ended: bool) -> None:
    speakers = Speakers()
    if ended:
        speakers.begin("turn")
        speakers.end("turn", 1.0)
    speakers.speak("turn", 2.0)
    speakers.end("turn", 3.0)
    assert speakers.until == -FOREVER
    assert speakers.expected(4.0) == ended


@given(st.lists(st.tuples(st.sampled_from("bes"), st.integers(0, 3), st.floats(0, 9))))
def test_no_turn_is_taken_for_a_command_for_longer_than_one(
    facts: list[tuple[str, int, float]],
) -> None:
    """A television cannot hold files: what counts is when its speech began."""
    speakers, now, began = Speakers(), 0.0, -FOREVER
    for fact, turn, passed in facts:
        now += passed
        if fact == "b":
            speakers.begin(turn)
        elif fact == "s":
            speakers.speak(turn, now)
            began = now
        elif fact == "e":
            speakers.end(turn, now)
        assert speakers.until <= began + LONGEST_COMMAND
