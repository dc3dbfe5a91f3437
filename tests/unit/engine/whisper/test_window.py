"""Length of the encoder window that a clip needs."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.whisper import window
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES, FULL_WINDOW


def window_frames(
    seconds: float, *, size: str, language: str, full: bool = False, second: bool = False
) -> int:
    calibrated = Calibrations(size).of(language).window
    return window.window_frames(seconds, FULL_WINDOW if full else calibrated, second=second)


def test_a_command_gets_the_shortest_window() -> None:
    assert window_frames(2.0, size="base", language="en") == 1000


def test_a_command_in_another_measured_language_gets_it_too() -> None:
    assert window_frames(2.0, size="base", language="es") == 1500
    assert window_frames(2.0, size="base", language="fr") == 2000


@pytest.mark.parametrize("language", ["da", "el", "ja", "ko", ""])
def test_a_language_in_which_no_shorter_one_is_as_accurate_gets_the_full_one(
    language: str,
) -> None:
    assert window_frames(2.0, size="base", language=language) == FULL_FRAMES
    assert window_frames(2.0, size="small", language=language) == FULL_FRAMES
    assert window_frames(2.0, size="small", language="fr") == FULL_FRAMES


def test_longer_speech_gets_its_length_plus_a_margin() -> None:
    assert window_frames(17.0, size="base", language="en") == 1800


def test_an_unmeasured_model_gets_a_longer_window_in_english() -> None:
    assert window_frames(2.0, size="small", language="en") == 2000
    assert window_frames(25.0, size="", language="en") == 2700


def test_a_model_that_is_less_accurate_in_a_short_window_gets_the_full_one() -> None:
    assert window_frames(2.0, size="tiny", language="en") == FULL_FRAMES
    assert window_frames(2.0, size="tiny", language="ko") == FULL_FRAMES


def test_no_window_is_longer_than_the_model_was_trained_on() -> None:
    assert window_frames(29.9, size="base", language="en") == FULL_FRAMES
    assert window_frames(29.9, size="", language="") == FULL_FRAMES


def test_a_full_window_can_be_requested() -> None:
    assert window_frames(1.0, size="base", language="en", full=True) == FULL_FRAMES


def test_a_second_pass_has_a_minimum_length_of_its_own() -> None:
    assert window_frames(2.0, size="base", language="en", second=True) == 1000
    assert window_frames(2.0, size="base", language="ko", second=True) == FULL_FRAMES


@pytest.mark.parametrize("hundredths", range(0, 3000, 37))
def test_window_lengths_are_rounded_so_that_similar_clips_share_one(hundredths: int) -> None:
    assert window_frames(hundredths / 100, size="base", language="en") % 100 == 0
