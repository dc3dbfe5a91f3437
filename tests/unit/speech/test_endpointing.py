"""Endpointing: when a turn is over without an audio-stop from the client."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.speech.endpointing import EndOfTurn, Endpointing, EndReason, TurnRules
from wyoming_faster_whisper.speech.hysteresis import windows
from wyoming_faster_whisper.speech.utterance import (
    Action,
    AnnounceSpeech,
    Decode,
    Drop,
    EndTurn,
    Finalize,
)

from .test_utterance import PAUSE, Listener

# Where the server ends the turn.

FIXED = Endpointing(min_silence=0.7, no_speech=8.0, longest=30.0)
AUTO = Endpointing(
    min_silence=1.2, complete=0.1, likely=0.8, incomplete=1.5, no_speech=8.0, longest=30.0
)


def ended(actions: list[Action]) -> list[EndReason]:
    return [action.reason for action in actions if isinstance(action, EndTurn)]


def read_at_a_pause(ending: Endpointing, reading: EndOfTurn) -> tuple[Listener, list[Action]]:
    """Feed speech and a pause, and report this end-of-turn reading for the guess."""
    listener = Listener(ending)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    return listener, listener.read(guess, reading)


def test_silence_ends_a_turn_that_was_read() -> None:
    listener, actions = read_at_a_pause(FIXED, EndOfTurn.INCOMPLETE)
    assert actions == []
    assert ended(listener.silence(windows(0.7) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]
    (answer,) = listener.stop()
    assert isinstance(answer, Finalize)
    assert len(answer.segments) == 1


def test_silence_ends_no_turn_before_it_was_read() -> None:
    listener = Listener(FIXED)
    listener.speech()
    guess, again = listener.silence(windows(1.5))
    assert isinstance(guess, Decode)
    assert again == Decode(guess.segment, guess=False)  # the answer waits for it
    assert ended(listener.read(guess, EndOfTurn.UNSURE)) == [EndReason.SILENCE]


def test_where_there_was_no_time_to_guess_the_silence_that_ends_a_turn_decodes_it() -> None:
    listener = Listener(FIXED)
    listener.speech()
    first, second = listener.silence(windows(0.7), guess=False)
    assert isinstance(first, Decode)
    assert second == Decode(first.segment, guess=False)


def test_nor_does_it_wait_for_all_of_a_long_silence() -> None:
    listener = Listener(AUTO)
    listener.speech()
    assert listener.silence(windows(0.8) - 1, guess=False) == []
    first, second = listener.silence(1, guess=False)
    assert isinstance(first, Decode)
    assert second == Decode(first.segment, guess=False)


def test_noise_ends_no_turn() -> None:
    listener, actions = read_at_a_pause(FIXED, EndOfTurn.NO_SPEECH)
    assert actions == []
    assert ended(listener.silence(windows(1.0))) == []
    listener.speech()
    (stale, guess) = listener.silence(PAUSE)
    assert isinstance(stale, Drop)
    assert listener.read(guess, EndOfTurn.UNSURE) == []
    assert ended(listener.silence(windows(0.7))) == [EndReason.SILENCE]


def test_a_model_that_failed_on_it_ends_the_turn_all_the_same() -> None:
    listener, _ = read_at_a_pause(FIXED, EndOfTurn.FAILED)
    assert ended(listener.silence(windows(0.7))) == [EndReason.SILENCE]


@pytest.mark.parametrize("reading", [EndOfTurn.COMPLETE, EndOfTurn.LIKELY, EndOfTurn.INCOMPLETE])
def test_without_auto_the_silence_is_the_same_however_it_reads(reading: EndOfTurn) -> None:
    listener, actions = read_at_a_pause(FIXED, reading)
    assert actions == []
    assert ended(listener.silence(windows(0.7) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


@pytest.mark.parametrize(
    ("reading", "pause"),
    [(EndOfTurn.COMPLETE, 0.26), (EndOfTurn.LIKELY, 0.7), (EndOfTurn.UNSURE, 1.0)],
)
def test_auto_outlasts_the_pauses_that_people_make_behind_what_reads_like_that(
    reading: EndOfTurn, pause: float
) -> None:
    ending = TurnRules(auto=True).endpointing(None)
    # The VAD detects resumed speech about 0.1 s late.
    spare = 0.1 if reading is not EndOfTurn.COMPLETE else 0.0
    assert ending.silence_after(reading) >= windows(pause + spare)


def test_with_auto_a_finished_sentence_ends_the_turn_as_soon_as_it_is_read() -> None:
    _, actions = read_at_a_pause(AUTO, EndOfTurn.COMPLETE)
    assert ended(actions) == [EndReason.SILENCE]


@pytest.mark.parametrize(
    ("reading", "wait"),
    [(EndOfTurn.LIKELY, 0.8), (EndOfTurn.UNSURE, 1.2), (EndOfTurn.INCOMPLETE, 1.5)],
)
def test_with_auto_one_that_is_not_may_go_on(reading: EndOfTurn, wait: float) -> None:
    listener, actions = read_at_a_pause(AUTO, reading)
    assert actions == []
    assert ended(listener.silence(windows(wait) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


def test_silence_ends_no_turn_in_which_somebody_may_begin_to_speak_again() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(3, 0.2)) == []
    (drop,) = listener.speech(1)
    assert isinstance(drop, Drop)


def test_who_might_and_does_not_delays_it_no_further() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(3, 0.2)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


def test_noise_that_is_never_quite_silent_does_so_for_a_third_of_a_second() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(10, 0.2)) == []
    assert ended(listener.hear(1, 0.2)) == [EndReason.SILENCE]


def test_a_finished_sentence_waits_for_who_may_go_on() -> None:
    listener = Listener(AUTO)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.hear(1, 0.2)
    assert ended(listener.read(guess, EndOfTurn.COMPLETE)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


def test_who_goes_on_is_read_anew() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.speech()
    assert ended(listener.silence(windows(1.2))) == []


def test_what_a_guess_says_too_late_is_nothing() -> None:
    listener = Listener(AUTO)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.speech()
    assert listener.read(guess, EndOfTurn.COMPLETE) == []


def test_a_turn_without_a_word_ends() -> None:
    listener = Listener(FIXED)
    assert ended(listener.silence(windows(8.0) - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.NO_SPEECH]
    assert listener.stop() == [Finalize(())]


def test_a_click_is_no_word() -> None:
    listener = Listener(FIXED)
    listener.hear(1, 0.9)
    assert listener.started == []
    assert ended(listener.silence(windows(8.0))) == [EndReason.NO_SPEECH]


def test_a_turn_that_does_not_end_ends_at_the_longest_command() -> None:
    listener = Listener(FIXED)
    listener.silence(10)
    assert ended(listener.speech(windows(30.0) - 1)) == []
    assert ended(listener.speech(1)) == [EndReason.LONGEST]


def test_what_comes_after_the_end_is_no_part_of_the_answer() -> None:
    listener, actions = read_at_a_pause(AUTO, EndOfTurn.COMPLETE)
    assert ended(actions)
    listener.speech(50)
    (answer,) = listener.stop()
    assert isinstance(answer, Finalize)
    assert [part.speech for part in answer.segments] == [(0, 30)]


def test_speech_is_told_of_once_with_the_second_it_began() -> None:
    listener = Listener(FIXED)
    listener.silence(25)
    listener.speech(3)
    listener.silence(PAUSE)
    listener.speech(3)
    assert listener.started == [AnnounceSpeech(0.8)]


# The client should end the turn, but Home Assistant's VAD does not.

EARLY = Endpointing(min_silence=2.0, within=15.0)


def test_a_live_stream_is_ended_by_two_seconds_of_silence() -> None:
    listener, _ = read_at_a_pause(EARLY, EndOfTurn.INCOMPLETE)
    assert ended(listener.silence(windows(2.0))) == [EndReason.SILENCE]


def test_another_one_is_not() -> None:
    listener = Listener(EARLY)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.read(guess, EndOfTurn.COMPLETE)
    assert ended(listener.hear(windows(5.0), 0.0, may_end=False)) == []


def test_after_the_longest_command_of_home_assistant_it_is_not_either() -> None:
    listener = Listener(EARLY)
    listener.speech(windows(13.5))
    (guess,) = listener.silence(PAUSE)
    assert listener.read(guess, EndOfTurn.COMPLETE) == []
    assert ended(listener.silence(windows(5.0))) == []
