"""Automatic gain control in front of the voice activity detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wyoming_faster_whisper.speech.gain_control import Gain, LevelControl
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.speech.vad import calibrated_gain


def calibrated() -> LevelControl:
    return LevelControl(calibrated_gain())


def test_the_levels_are_those_that_were_fitted() -> None:
    fitted = Gain(target=-45.0, most=20.0, least_range=18.0, decay=0.02, rise=0.005)
    assert calibrated_gain() == fitted


def noise(level: float, windows: int = 60) -> np.ndarray:
    """Return windows of noise with an RMS of level dBFS."""
    sound = np.random.default_rng(0).normal(0, 10 ** (level / 20), (windows, WINDOW))
    return sound.astype(np.float32)


def loudness(windows: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(windows**2))))


def test_a_normal_level_is_not_changed() -> None:
    sound = noise(-30)
    assert np.array_equal(calibrated().feed(sound), sound)


def test_quiet_speech_is_amplified_from_its_first_word() -> None:
    control = calibrated()
    control.feed(noise(-80))
    assert loudness(control.feed(noise(-58))) == pytest.approx(-45, abs=1)


def test_the_loudest_sound_so_far_is_raised_to_the_target() -> None:
    control = calibrated()
    control.feed(noise(-80))
    sound = np.full((3, WINDOW), 10 ** (-58 / 20), np.float32)
    amplified = control.feed(sound)
    assert loudness(amplified[:1]) == pytest.approx(-45, abs=0.01)
    assert amplified.dtype == np.float32


def test_an_amplified_click_is_clipped_on_both_sides() -> None:
    loud = replace(calibrated_gain(), target=-10.0, most=60.0)
    control = LevelControl(loud)
    control.feed(noise(-80))
    clicks = np.zeros((1, WINDOW), np.float32)
    clicks[0, :2] = 0.1, -0.1
    amplified = control.feed(clicks)
    assert (amplified.max(), amplified.min()) == (1.0, -1.0)


def test_the_gain_is_bounded() -> None:
    control = calibrated()
    control.feed(noise(-85))
    assert loudness(control.feed(noise(-66.5))) == pytest.approx(-46.5, abs=1)


def test_an_empty_room_is_not_amplified_however_quiet_it_is() -> None:
    control = calibrated()
    for _ in range(100):
        sound = noise(-75)
        assert np.array_equal(control.feed(sound), sound)


def test_noise_after_digital_silence_is_not_amplified() -> None:
    control = calibrated()
    control.feed(np.zeros((10, WINDOW), np.float32))
    sound = noise(-70)
    assert np.array_equal(control.feed(sound), sound)


def test_speech_after_silence_is_not_clipped() -> None:
    control = calibrated()
    for _ in range(10):
        control.feed(noise(-80))
    loud = noise(-20)
    assert np.array_equal(control.feed(loud), loud)


def test_the_gain_does_not_depend_on_the_chunk_size() -> None:
    sound = np.concatenate((noise(-80, 20), noise(-60, 40)))
    control = calibrated()
    pieces = [control.feed(sound[at : at + 3]) for at in range(0, 60, 3)]
    np.testing.assert_allclose(np.concatenate(pieces), calibrated().feed(sound), atol=1e-6)
