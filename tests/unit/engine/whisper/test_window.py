"""Length of the encoder window that a clip needs."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES, window_frames


def test_a_command_gets_the_floor() -> None:
    assert window_frames(2.0, size="base", language="en") == 1000


@pytest.mark.parametrize("language", ["de", "fr", "es", "it", "nl"])
def test_a_language_that_was_measured_gets_it_too(language: str) -> None:
    assert window_frames(2.0, size="base", language=language) == 1000


def test_longer_speech_gets_its_length_and_a_margin() -> None:
    assert window_frames(17.0, size="base", language="en") == 1800


def test_what_was_not_measured_gets_a_cautious_window() -> None:
    assert window_frames(2.0, size="small", language="en") == 2000
    assert window_frames(2.0, size="base", language="ko") == 2000
    assert window_frames(2.0, size="base", language="") == 2000
    assert window_frames(25.0, size="", language="") == 2700


def test_a_model_that_hears_worse_in_a_short_window_gets_the_full_one() -> None:
    assert window_frames(2.0, size="tiny", language="en") == FULL_FRAMES
    assert window_frames(2.0, size="tiny", language="ko") == FULL_FRAMES


def test_nobody_gets_more_than_the_model_was_trained_on() -> None:
    assert window_frames(29.9, size="base", language="en") == FULL_FRAMES
    assert window_frames(29.9, size="", language="") == FULL_FRAMES


def test_full_is_full() -> None:
    assert window_frames(1.0, size="base", language="en", full=True) == FULL_FRAMES


@pytest.mark.parametrize("hundredths", range(0, 3000, 37))
def test_clips_of_about_the_same_length_share_a_window(hundredths: int) -> None:
    assert window_frames(hundredths / 100, size="base", language="en") % 100 == 0
