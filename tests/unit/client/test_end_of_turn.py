"""Endpointing in the client: when a turn is over."""

from __future__ import annotations

from wyoming_faster_whisper.client.end_of_turn import SilenceEndpointer, SpeakerState


def test_silence_keeps_waiting_for_speech() -> None:
    assert SilenceEndpointer(0.8).feed([0.1] * 500) is SpeakerState.WAITING


def test_a_click_is_not_speech() -> None:
    assert SilenceEndpointer(0.8).feed([0.9, 0.9, 0.1] * 100) is SpeakerState.WAITING


def test_a_turn_ends_after_enough_silence() -> None:
    turn = SilenceEndpointer(silence=0.32)
    assert turn.feed([0.9] * 10) is SpeakerState.SPEAKING
    assert turn.feed([0.1] * 9) is SpeakerState.SPEAKING
    assert turn.feed([0.1]) is SpeakerState.DONE


def test_resumed_speech_continues_the_turn() -> None:
    turn = SilenceEndpointer(silence=0.32)
    turn.feed([0.9] * 10 + [0.1] * 9)
    assert turn.feed([0.4]) is SpeakerState.SPEAKING  # once started, 0.35 is enough
    assert turn.feed([0.1] * 9) is SpeakerState.SPEAKING


def test_speech_after_the_end_of_the_turn_is_ignored() -> None:
    turn = SilenceEndpointer(silence=0.032)
    turn.feed([0.9] * 3 + [0.1])
    assert turn.feed([0.9] * 100) is SpeakerState.DONE
