"""When the client takes a speaker to be done."""

from __future__ import annotations

from wyoming_faster_whisper.client.end_of_turn import Phase, Turn


def test_nobody_has_spoken_yet() -> None:
    assert Turn(0.8).hear([0.1] * 500) is Phase.WAITING


def test_a_click_is_no_speech() -> None:
    assert Turn(0.8).hear([0.9, 0.9, 0.1] * 100) is Phase.WAITING


def test_a_turn_ends_after_the_silence_behind_it() -> None:
    turn = Turn(silence=0.32)
    assert turn.hear([0.9] * 10) is Phase.SPEAKING
    assert turn.hear([0.1] * 9) is Phase.SPEAKING
    assert turn.hear([0.1]) is Phase.DONE


def test_speech_that_goes_on_keeps_the_turn() -> None:
    turn = Turn(silence=0.32)
    turn.hear([0.9] * 10 + [0.1] * 9)
    assert turn.hear([0.4]) is Phase.SPEAKING  # 0.35 is enough for speech that has begun
    assert turn.hear([0.1] * 9) is Phase.SPEAKING


def test_what_comes_after_the_end_changes_nothing() -> None:
    turn = Turn(silence=0.032)
    turn.hear([0.9] * 3 + [0.1])
    assert turn.hear([0.9] * 100) is Phase.DONE
