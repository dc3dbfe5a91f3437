"""One utterance: what to decode, when to guess, when to answer."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wyoming_faster_whisper.speech.ending import Ended, Ending, Reading
from wyoming_faster_whisper.speech.endpoint import WINDOW, windows
from wyoming_faster_whisper.speech.segment import LONGEST, SpeechRules
from wyoming_faster_whisper.speech.utterance import (
    Action,
    Answer,
    Close,
    Decode,
    Drop,
    End,
    Phase,
    Started,
    Utterance,
)

PAUSE = 5  # windows


class Listener:
    """An utterance, and how many windows it has heard."""

    def __init__(self, ending: Ending | None = None, *, pause: int = PAUSE) -> None:
        self.utterance = Utterance(SpeechRules(), pause=pause, ending=ending)
        self.windows = 0
        self.started: list[Started] = []  # told apart from the other actions

    def speech(self, windows: int = 30) -> list[Action]:
        return self.hear(windows, 0.9)

    def silence(self, windows: int, *, guess: bool = True) -> list[Action]:
        return self.hear(windows, 0.0, guess=guess)

    def hear(
        self, windows: int, probability: float, *, guess: bool = True, may_end: bool = True
    ) -> list[Action]:
        self.windows += windows
        actions = self.utterance.heard([probability] * windows, guess=guess, may_end=may_end)
        self.started += [action for action in actions if isinstance(action, Started)]
        return [action for action in actions if not isinstance(action, Started)]

    def read(self, decode: Action, reading: Reading) -> list[Action]:
        assert isinstance(decode, Decode)
        return self.utterance.read(decode.segment, reading)

    def stop(self) -> list[Action]:
        return self.utterance.stop(self.windows * WINDOW)


def paused() -> tuple[Listener, Decode]:
    """Somebody has spoken and paused."""
    listener = Listener()
    assert listener.speech() == []
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)
    return listener, guess


def test_silence_is_answered_with_nothing() -> None:
    listener = Listener()
    assert listener.silence(100) == []
    assert listener.stop() == [Answer(())]


def test_a_pause_is_guessed_at() -> None:
    listener, guess = paused()
    assert guess.guess
    assert guess.segment.speech == (0, 30)
    assert listener.utterance.phase is Phase.GUESSING


def test_a_shorter_pause_is_not() -> None:
    listener = Listener()
    listener.speech()
    assert listener.silence(PAUSE - 1) == []
    assert listener.speech() == []


def test_one_pause_is_guessed_at_once() -> None:
    listener, _ = paused()
    assert listener.silence(40) == []


def test_the_guess_is_the_answer_if_nothing_was_said_after_it() -> None:
    listener, guess = paused()
    assert listener.silence(20) == []
    assert listener.stop() == [Answer((guess.segment,))]


def test_speech_after_a_guess_drops_it() -> None:
    listener, guess = paused()
    assert listener.speech(1) == [Drop(guess.segment)]
    assert listener.utterance.phase is Phase.LISTENING


def test_the_next_pause_is_guessed_at_again() -> None:
    listener, _ = paused()
    listener.speech()
    (guess,) = listener.silence(PAUSE + 3)
    assert isinstance(guess, Decode)
    assert guess.segment.speech == (0, 30 + PAUSE + 30)


def test_the_end_without_a_pause_is_decoded() -> None:
    listener = Listener()
    listener.speech()
    decode, answer = listener.stop()
    assert isinstance(decode, Decode)
    assert not decode.guess
    assert answer == Answer((decode.segment,))


def test_there_is_no_guess_when_there_is_no_time() -> None:
    listener = Listener()
    listener.speech()
    assert listener.silence(PAUSE, guess=False) == []
    decode, _ = listener.stop()
    assert isinstance(decode, Decode)


def test_a_segment_that_is_closed_is_decoded_once() -> None:
    listener, first = paused()
    listener.silence(80)  # longer than joins two segments
    listener.speech()
    later = listener.silence(PAUSE)
    assert [action.segment.speech for action in later if isinstance(action, Decode)] != []
    *_, answer = listener.stop()
    assert isinstance(answer, Answer)
    assert [segment.speech for segment in answer.segments] == [(0, 30), (115, 145)]
    assert first.segment.speech == (0, 30)


def test_a_word_of_two_tenths_of_a_second_is_guessed_at() -> None:
    listener = Listener()
    listener.speech(6)
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)


def test_what_might_be_speech_is_decoded_at_the_end_only() -> None:
    listener = Listener()
    assert listener.hear(10, 0.3) == []
    assert listener.silence(20) == []
    decode, _ = listener.stop()
    assert isinstance(decode, Decode)
    assert not decode.segment.sure


def test_never_guessing_is_possible() -> None:
    listener = Listener(pause=0)
    assert listener.speech() == []
    assert listener.silence(30) == []


def test_a_pause_in_which_there_was_no_time_is_guessed_at_once_there_is() -> None:
    listener = Listener()
    listener.speech()
    assert listener.silence(PAUSE, guess=False) == []
    (guess,) = listener.silence(1)
    assert isinstance(guess, Decode)


def test_who_has_paused_and_gone_on_is_given_longer_the_next_time() -> None:
    listener, _ = paused()
    listener.speech()
    assert listener.silence(PAUSE) == []
    (guess,) = listener.silence(3)
    assert isinstance(guess, Decode)


# Dictation: segments that are closed.


def test_a_silence_that_parts_segments_closes_the_guess_before_it() -> None:
    listener, guess = paused()
    assert listener.silence(windows(2.0) - PAUSE) == [Close(guess.segment)]
    assert listener.speech() == []


def test_after_ten_seconds_a_pause_between_sentences_closes_a_segment() -> None:
    listener = Listener()
    listener.speech(windows(11.0))
    guess, *rest = listener.silence(16)
    assert isinstance(guess, Decode)
    assert rest == [Close(guess.segment)]
    assert listener.speech(10) == []


def test_before_ten_seconds_it_does_not() -> None:
    listener = Listener()
    listener.speech(windows(9.0))
    (guess,) = listener.silence(16)
    assert isinstance(guess, Decode)
    assert listener.speech(1) == [Drop(guess.segment)]


def test_of_a_long_dictation_only_the_tail_is_left_at_the_end() -> None:
    listener = Listener()
    begun: list[Decode] = []
    for _ in range(40):  # two minutes and a half
        begun += [a for a in listener.speech(windows(3.5)) if isinstance(a, Decode)]
        begun += [a for a in listener.silence(windows(0.4)) if isinstance(a, Decode)]
    before = {decode.segment for decode in begun}
    listener.speech(windows(2.0))
    *decodes, answer = listener.stop()
    assert isinstance(answer, Answer)
    assert len([part for part in answer.segments if part not in before]) == 1
    assert [type(action) for action in decodes].count(Decode) == 1
    assert max(part.end - part.start for part in answer.segments) <= LONGEST * 16_000
    for one, other in pairwise(answer.segments):
        assert one.speech[1] <= other.speech[0]  # no word is heard twice
        assert one.end >= other.start  # nor left out


# Where the server ends the turn.

FIXED = Ending(silence=0.7, no_speech=8.0, longest=30.0)
AUTO = Ending(silence=1.2, finished=0.1, unfinished=1.5, no_speech=8.0, longest=30.0)


def ended(actions: list[Action]) -> list[Ended]:
    return [action.why for action in actions if isinstance(action, End)]


def read_at_a_pause(ending: Ending, reading: Reading) -> tuple[Listener, list[Action]]:
    """Somebody has spoken and paused, and what was said has been read."""
    listener = Listener(ending)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    return listener, listener.read(guess, reading)


def test_silence_ends_a_turn_that_was_read() -> None:
    listener, actions = read_at_a_pause(FIXED, Reading.UNFINISHED)
    assert actions == []
    assert ended(listener.silence(windows(0.7) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [Ended.SILENCE]
    (answer,) = listener.stop()
    assert isinstance(answer, Answer)
    assert len(answer.segments) == 1


def test_silence_ends_no_turn_before_it_was_read() -> None:
    listener = Listener(FIXED)
    listener.speech()
    guess, again = listener.silence(windows(1.5))
    assert isinstance(guess, Decode)
    assert again == Decode(guess.segment, guess=False)  # somebody waits for it now
    assert ended(listener.read(guess, Reading.UNSURE)) == [Ended.SILENCE]


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
    listener, actions = read_at_a_pause(FIXED, Reading.NOTHING)
    assert actions == []
    assert ended(listener.silence(windows(1.0))) == []
    listener.speech()
    (stale, guess) = listener.silence(PAUSE)
    assert isinstance(stale, Drop)
    assert listener.read(guess, Reading.UNSURE) == []
    assert ended(listener.silence(windows(0.7))) == [Ended.SILENCE]


def test_a_model_that_failed_on_it_ends_the_turn_all_the_same() -> None:
    listener, _ = read_at_a_pause(FIXED, Reading.FAILED)
    assert ended(listener.silence(windows(0.7))) == [Ended.SILENCE]


def test_with_auto_a_finished_sentence_ends_the_turn_as_soon_as_it_is_read() -> None:
    _, actions = read_at_a_pause(AUTO, Reading.FINISHED)
    assert ended(actions) == [Ended.SILENCE]


@pytest.mark.parametrize(("reading", "wait"), [(Reading.UNSURE, 1.2), (Reading.UNFINISHED, 1.5)])
def test_with_auto_one_that_is_not_may_go_on(reading: Reading, wait: float) -> None:
    listener, actions = read_at_a_pause(AUTO, reading)
    assert actions == []
    assert ended(listener.silence(windows(wait) - PAUSE - 1)) == []
    assert ended(listener.silence(1)) == [Ended.SILENCE]


def test_silence_ends_no_turn_in_which_somebody_may_begin_to_speak_again() -> None:
    listener, _ = read_at_a_pause(AUTO, Reading.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(3, 0.2)) == []
    (drop,) = listener.speech(1)
    assert isinstance(drop, Drop)


def test_who_might_and_does_not_delays_it_no_further() -> None:
    listener, _ = read_at_a_pause(AUTO, Reading.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(3, 0.2)) == []
    assert ended(listener.silence(1)) == [Ended.SILENCE]


def test_noise_that_is_never_quite_silent_does_so_for_a_third_of_a_second() -> None:
    listener, _ = read_at_a_pause(AUTO, Reading.UNSURE)
    listener.silence(windows(1.2) - PAUSE - 1)
    assert ended(listener.hear(10, 0.2)) == []
    assert ended(listener.hear(1, 0.2)) == [Ended.SILENCE]


def test_a_finished_sentence_waits_for_who_may_go_on() -> None:
    listener = Listener(AUTO)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.hear(1, 0.2)
    assert ended(listener.read(guess, Reading.FINISHED)) == []
    assert ended(listener.silence(1)) == [Ended.SILENCE]


def test_who_goes_on_is_read_anew() -> None:
    listener, _ = read_at_a_pause(AUTO, Reading.UNSURE)
    listener.speech()
    assert ended(listener.silence(windows(1.2))) == []


def test_what_a_guess_says_too_late_is_nothing() -> None:
    listener = Listener(AUTO)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.speech()
    assert listener.read(guess, Reading.FINISHED) == []


def test_a_turn_without_a_word_ends() -> None:
    listener = Listener(FIXED)
    assert ended(listener.silence(windows(8.0) - 1)) == []
    assert ended(listener.silence(1)) == [Ended.NO_SPEECH]
    assert listener.stop() == [Answer(())]


def test_a_click_is_no_word() -> None:
    listener = Listener(FIXED)
    listener.hear(1, 0.9)
    assert listener.started == []
    assert ended(listener.silence(windows(8.0))) == [Ended.NO_SPEECH]


def test_a_turn_that_does_not_end_ends_at_the_longest_command() -> None:
    listener = Listener(FIXED)
    listener.silence(10)
    assert ended(listener.speech(windows(30.0) - 1)) == []
    assert ended(listener.speech(1)) == [Ended.LONGEST]


def test_what_comes_after_the_end_is_no_part_of_the_answer() -> None:
    listener, actions = read_at_a_pause(AUTO, Reading.FINISHED)
    assert ended(actions)
    listener.speech(50)
    (answer,) = listener.stop()
    assert isinstance(answer, Answer)
    assert [part.speech for part in answer.segments] == [(0, 30)]


def test_speech_is_told_of_once_with_the_second_it_began() -> None:
    listener = Listener(FIXED)
    listener.silence(25)
    listener.speech(3)
    listener.silence(PAUSE)
    listener.speech(3)
    assert listener.started == [Started(0.8)]


# Where the client ends the turn, and Home Assistant's VAD does not.

EARLY = Ending(silence=2.0, within=15.0)


def test_a_live_stream_is_ended_by_two_seconds_of_silence() -> None:
    listener, _ = read_at_a_pause(EARLY, Reading.UNFINISHED)
    assert ended(listener.silence(windows(2.0))) == [Ended.SILENCE]


def test_another_one_is_not() -> None:
    listener = Listener(EARLY)
    listener.speech()
    (guess,) = listener.silence(PAUSE)
    listener.read(guess, Reading.FINISHED)
    assert ended(listener.hear(windows(5.0), 0.0, may_end=False)) == []


def test_after_the_longest_command_of_home_assistant_it_is_not_either() -> None:
    listener = Listener(EARLY)
    listener.speech(windows(13.5))
    (guess,) = listener.silence(PAUSE)
    assert listener.read(guess, Reading.FINISHED) == []
    assert ended(listener.silence(windows(5.0))) == []
