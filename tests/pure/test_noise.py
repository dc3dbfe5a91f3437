"""What is always there is turned down; what comes and goes is left as it is."""

from __future__ import annotations

import numpy as np

from wyoming_faster_whisper.engine.noise import less_noise
from wyoming_faster_whisper.engine.spectrogram import Power


def sound(loud: float, *, noise: float = 1.0) -> Power:
    """Noise that hardly changes in two bands; in one of them, half of the time, something."""
    power = noise * np.random.default_rng(0).uniform(0.9, 1.1, (2, 100))
    power[0, 20:70] += loud
    return power.astype(np.float32)


def decibels(before: Power, after: Power) -> Power:
    change: Power = 10 * np.log10(after / before)
    return change


def test_what_is_loud_is_left_as_it_is() -> None:
    power = sound(1000.0)
    assert np.abs(decibels(power, less_noise(power))[0, 21:69]).max() < 0.1


def test_what_is_always_there_is_turned_down_by_ten_decibels() -> None:
    power = sound(1000.0)
    change = decibels(power, less_noise(power))
    np.testing.assert_allclose(change[1], -10.5, atol=0.1)
    np.testing.assert_allclose(change[0, 72:], -10.5, atol=0.1)


def test_what_is_as_loud_as_the_noise_is_turned_down_by_its_share() -> None:
    power = sound(4.0)
    change = decibels(power, less_noise(power))[0, 25:65]
    assert change.max() < -1.5
    assert change.min() > -4.5


def test_how_loud_it_is_makes_no_difference() -> None:
    power = sound(10.0)
    np.testing.assert_allclose(less_noise(1e-3 * power), 1e-3 * less_noise(power), rtol=1e-4)


def test_silence_stays_silence() -> None:
    assert not less_noise(np.zeros((80, 40), np.float32)).any()


def test_a_single_frame_will_do() -> None:
    assert less_noise(np.ones((80, 1), np.float32)).shape == (80, 1)
