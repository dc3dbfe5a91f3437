"""One utterance: what to decode, when to guess, when to answer."""

from __future__ import annotations

from wyoming_faster_whisper.speech.endpoint import WINDOW
from wyoming_faster_whisper.speech.segment import SpeechRules
from wyoming_faster_whisper.speech.utterance import (
    Action,
    Answer,
    Decode,
    Drop,
    Phase,
    Utterance,
)

PAUSE = 5  # windows


class Listener:
    """An utterance, and how many windows it has heard."""

    def __init__(self) -> None:
        self.utterance = Utterance(SpeechRules(), pause=PAUSE)
        self.windows = 0

    def speech(self, windows: int = 30) -> list[Action]:
        return self.hear(windows, 0.9)

    def silence(self, windows: int, *, guess: bool = True) -> list[Action]:
        return self.hear(windows, 0.0, guess=guess)

    def hear(self, windows: int, probability: float, *, guess: bool = True) -> list[Action]:
        self.windows += windows
        return self.utterance.heard([probability] * windows, guess=guess)

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
    listener.silence(20)
    assert listener.stop() == [Answer((guess.segment,))]


def test_speech_after_a_guess_drops_it() -> None:
    listener, guess = paused()
    assert listener.speech(1) == [Drop(guess.segment)]
    assert listener.utterance.phase is Phase.LISTENING


def test_the_next_pause_is_guessed_at_again() -> None:
    listener, _ = paused()
    listener.speech()
    (guess,) = listener.silence(PAUSE)
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
    utterance = Utterance(SpeechRules(), pause=0)
    assert utterance.heard([0.9] * 30 + [0.0] * 30, guess=True) == []
