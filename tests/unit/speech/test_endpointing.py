"""Endpointing: when a turn is over without an audio-stop from the client."""

from __future__ import annotations

from dataclasses import replace

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
    UtteranceRules,
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


def test_silence_ends_a_turn_whose_guess_is_decoded() -> None:
    listener, actions = read_at_a_pause(FIXED, EndOfTurn.INCOMPLETE)
    assert actions == []
    assert ended(listener.silence(windows(0.7) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]
    (answer,) = listener.stop()
    assert isinstance(answer, Finalize)
    assert len(answer.segments) == 1


def test_silence_ends_no_turn_before_its_guess_is_decoded() -> None:
    listener = Listener(FIXED)
    listener.speech()
    guess, again = listener.silence(windows(1.5))
    assert isinstance(guess, Decode)
    assert again == Decode(guess.segment, guess=False)  # the answer waits for it
    assert ended(listener.read(guess, EndOfTurn.UNSURE)) == [EndReason.SILENCE]


def test_the_silence_that_ends_a_turn_decodes_it_if_there_was_no_guess() -> None:
    listener = Listener(FIXED)
    listener.speech()
    first, second = listener.silence(windows(0.7), guess=False)
    assert isinstance(first, Decode)
    assert second == Decode(first.segment, guess=False)


def test_auto_decodes_a_turn_without_a_guess_after_the_silence_of_a_likely_end() -> None:
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


def test_silence_also_ends_a_turn_whose_guess_failed() -> None:
    listener, _ = read_at_a_pause(FIXED, EndOfTurn.FAILED)
    assert ended(listener.silence(windows(0.7))) == [EndReason.SILENCE]


@pytest.mark.parametrize("reading", [EndOfTurn.COMPLETE, EndOfTurn.LIKELY, EndOfTurn.INCOMPLETE])
def test_without_auto_the_silence_does_not_depend_on_the_text(reading: EndOfTurn) -> None:
    listener, actions = read_at_a_pause(FIXED, reading)
    assert actions == []
    assert ended(listener.silence(windows(0.7) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


@pytest.mark.parametrize(
    ("reading", "pause"),
    [(EndOfTurn.COMPLETE, 0.26), (EndOfTurn.LIKELY, 0.7), (EndOfTurn.UNSURE, 1.0)],
)
def test_auto_waits_longer_than_people_pause_within_a_turn(
    reading: EndOfTurn, pause: float
) -> None:
    ending = TurnRules(auto=True).endpointing(None)
    # The VAD detects resumed speech about 0.1 s late.
    spare = 0.1 if reading is not EndOfTurn.COMPLETE else 0.0
    assert ending.silence_after(reading, 100) >= windows(pause + spare)


def test_auto_ends_a_turn_as_soon_as_a_complete_sentence_is_decoded() -> None:
    _, actions = read_at_a_pause(AUTO, EndOfTurn.COMPLETE)
    assert ended(actions) == [EndReason.SILENCE]


@pytest.mark.parametrize(
    ("reading", "wait"),
    [(EndOfTurn.LIKELY, 0.8), (EndOfTurn.UNSURE, 1.2), (EndOfTurn.INCOMPLETE, 1.5)],
)
def test_auto_waits_for_more_silence_the_less_certain_the_end_is(
    reading: EndOfTurn, wait: float
) -> None:
    listener, actions = read_at_a_pause(AUTO, reading)
    assert actions == []
    assert ended(listener.silence(windows(wait) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


@pytest.mark.parametrize("probability", [UtteranceRules().low_threshold, 0.2])
def test_possible_speech_delays_the_end_of_the_turn(probability: float) -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(3, probability)) == []
    (drop,) = listener.speech(1)
    assert isinstance(drop, Drop)


def test_possible_speech_delays_the_end_of_the_turn_only_while_it_lasts() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(3, 0.2)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


def test_possible_speech_delays_the_end_of_the_turn_by_a_third_of_a_second_at_most() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(10, 0.2)) == []
    assert ended(listener.hear(1, 0.2)) == [EndReason.SILENCE]


def test_a_complete_sentence_does_not_end_the_turn_during_possible_speech() -> None:
    listener = Listener(AUTO)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.hear(1, 0.2)
    assert ended(listener.read(guess, EndOfTurn.COMPLETE)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


def test_the_guess_before_resumed_speech_does_not_end_the_turn() -> None:
    listener, _ = read_at_a_pause(AUTO, EndOfTurn.UNSURE)
    listener.speech()
    assert ended(listener.silence(windows(1.2))) == []


def test_a_guess_decoded_after_speech_resumed_is_ignored() -> None:
    listener = Listener(AUTO)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.speech()
    assert listener.read(guess, EndOfTurn.COMPLETE) == []


def test_a_turn_without_speech_ends() -> None:
    listener = Listener(FIXED)
    assert ended(listener.silence(windows(8.0) - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.NO_SPEECH]
    assert listener.stop() == [Finalize(())]


def test_a_click_is_not_speech() -> None:
    listener = Listener(FIXED)
    listener.hear(1, 0.9)
    assert listener.started == []
    assert ended(listener.silence(windows(8.0))) == [EndReason.NO_SPEECH]


def test_a_turn_ends_at_the_longest_command() -> None:
    listener = Listener(FIXED)
    listener.silence(10)
    assert ended(listener.speech(windows(30.0) - 1)) == []
    assert ended(listener.speech(1)) == [EndReason.LONGEST]


def test_audio_after_the_end_of_the_turn_is_not_in_the_answer() -> None:
    listener, actions = read_at_a_pause(AUTO, EndOfTurn.COMPLETE)
    assert ended(actions)
    listener.windows += 50  # recorded, but the VAD no longer runs
    (answer,) = listener.stop()
    assert isinstance(answer, Finalize)
    assert [part.speech for part in answer.segments] == [(0, 30)]


def test_the_start_of_speech_is_announced_once() -> None:
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


def test_a_stream_that_is_not_live_is_not_ended() -> None:
    listener = Listener(EARLY)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.read(guess, EndOfTurn.COMPLETE)
    assert ended(listener.hear(windows(5.0), 0.0, may_end=False)) == []


def test_a_live_stream_is_not_ended_after_home_assistants_longest_command() -> None:
    listener = Listener(EARLY)
    listener.speech(windows(13.5))
    (guess,) = listener.silence(PAUSE)
    assert listener.read(guess, EndOfTurn.COMPLETE) == []
    assert ended(listener.silence(windows(5.0))) == []


@pytest.mark.parametrize(("spare", "reasons"), [(0, [EndReason.SILENCE]), (-1, [])])
def test_the_last_window_of_home_assistants_longest_command_may_end_a_live_stream(
    spare: int, reasons: list[EndReason]
) -> None:
    listener = Listener(EARLY)
    listener.speech(windows(15.0) - windows(2.0) - spare)
    (guess,) = listener.silence(PAUSE)
    listener.read(guess)
    assert ended(listener.silence(windows(2.0) - PAUSE)) == reasons


def test_a_live_stream_is_ended_later_after_very_short_speech() -> None:
    listener = Listener(replace(EARLY, short=5.0))
    listener.speech(windows(0.8) - 1)
    (guess,) = listener.silence(PAUSE)
    listener.read(guess, EndOfTurn.COMPLETE)
    assert ended(listener.silence(windows(5.0) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [EndReason.SILENCE]


# The rules of a turn, from the settings and the request.


def test_only_endpointing_settings_or_a_sensitivity_let_the_server_end_a_turn() -> None:
    assert not TurnRules().server_endpointing(None)
    assert TurnRules().server_endpointing("default")
    assert TurnRules(auto=True).server_endpointing(None)
    assert TurnRules(min_silence=0.1).server_endpointing(None)


def test_without_server_endpointing_only_early_silence_ends_a_turn() -> None:
    rules = TurnRules(early_silence=2.0, no_speech=8.0, longest=30.0)
    assert rules.endpointing(None) == Endpointing(min_silence=2.0, short=5.0, within=15.0)


def test_fixed_endpointing_follows_the_settings() -> None:
    rules = TurnRules(min_silence=0.5, early_silence=2.0, no_speech=6.0, longest=20.0)
    assert rules.endpointing(None) == Endpointing(
        min_silence=0.5, no_speech=6.0, longest=20.0, answer_by=1.4
    )


@pytest.mark.parametrize(("silence", "seconds"), [(0.25, 1.4), (0.7, 1.4), (3.0, 3.0)])
def test_an_answer_waits_for_a_second_pass_no_longer_than_an_unfinished_sentence(
    silence: float, seconds: float
) -> None:
    assert TurnRules(min_silence=silence).endpointing(None).answer_by == seconds


@pytest.mark.parametrize(
    ("sensitivity", "seconds"),
    [("aggressive", 0.25), ("default", 0.7), ("relaxed", 1.25), ("unknown", 0.7)],
)
@pytest.mark.parametrize("rules", [TurnRules(), TurnRules(min_silence=0.5), TurnRules(auto=True)])
def test_the_sensitivity_of_a_request_overrides_the_settings(
    rules: TurnRules, sensitivity: str, seconds: float
) -> None:
    expected = Endpointing(min_silence=seconds, no_speech=8.0, longest=30.0, answer_by=1.4)
    assert rules.endpointing(sensitivity) == expected


def test_auto_ends_a_turn_sooner_the_more_complete_it_is() -> None:
    rules = TurnRules(auto=True, min_silence=0.5, no_speech=6.0, longest=20.0).endpointing(None)
    assert 0 < rules.complete < rules.likely < rules.min_silence < rules.incomplete
    assert (rules.no_speech, rules.longest, rules.within) == (6.0, 20.0, 0.0)


def test_the_silence_after_an_unfinished_sentence_can_be_set() -> None:
    assert TurnRules(auto=True, incomplete=8.0).endpointing(None).incomplete == 8.0


def test_a_model_without_scores_ends_a_turn_after_the_default_silence() -> None:
    rules = TurnRules(auto=True, min_silence=0.5, no_speech=6.0, longest=20.0)
    assert rules.without_scores() == TurnRules(min_silence=0.7, no_speech=6.0, longest=20.0)


@pytest.mark.parametrize("rules", [TurnRules(), TurnRules(min_silence=0.5)])
def test_a_fixed_silence_needs_no_scores(rules: TurnRules) -> None:
    assert rules.without_scores() == rules


@pytest.mark.parametrize(
    ("speech", "seconds"), [(0.032, 5.0), (0.768, 5.0), (0.8, 2.0), (9.0, 2.0)]
)
def test_very_short_speech_needs_a_longer_silence(speech: float, seconds: float) -> None:
    rules = Endpointing(min_silence=2.0, complete=2.0, short=5.0)
    assert rules.silence_after(EndOfTurn.COMPLETE, windows(speech)) == windows(seconds)
    assert rules.least_silence(windows(speech)) == windows(seconds)


def test_without_a_rule_for_very_short_speech_its_silence_is_that_of_longer_speech() -> None:
    assert Endpointing(min_silence=0.7).silence_after(EndOfTurn.UNSURE, 1) == windows(0.7)


def test_the_least_silence_is_that_of_the_class_that_needs_the_fewest() -> None:
    assert TurnRules(auto=True).endpointing(None).least_silence(100) == windows(0.32)
    assert TurnRules(min_silence=0.5).endpointing(None).least_silence(100) == windows(0.5)


def test_some_silence_is_always_needed() -> None:
    assert Endpointing(min_silence=0.001).silence_after(EndOfTurn.UNSURE, 100) == 1
    assert Endpointing(short=0.001).silence_after(EndOfTurn.UNSURE, 1) == 1
