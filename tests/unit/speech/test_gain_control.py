"""Automatic gain control in front of the voice activity detector."""

from __future__ import annotations

import numpy as np

from wyoming_faster_whisper.speech.gain_control import LevelControl
from wyoming_faster_whisper.speech.hysteresis import WINDOW


def noise(level: float, windows: int = 60) -> np.ndarray:
    """Return windows of noise with an RMS of level dBFS."""
    sound = np.random.default_rng(0).normal(0, 10 ** (level / 20), (windows, WINDOW))
    return sound.astype(np.float32)


def loudness(windows: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(windows**2))))


def test_a_usual_level_passes_unchanged() -> None:
    sound = noise(-30)
    assert np.array_equal(LevelControl().feed(sound), sound)


def test_a_quiet_stream_is_amplified_within_a_few_seconds() -> None:
    control = LevelControl()
    for _ in range(4):
        out = control.feed(noise(-58))
    assert loudness(out) > -45


def test_the_gain_is_bounded() -> None:
    control = LevelControl()
    for _ in range(100):
        out = control.feed(noise(-90))
    assert loudness(out) < -69


def test_a_room_is_hardly_amplified_before_anyone_has_spoken() -> None:
    assert loudness(LevelControl().feed(noise(-60))) < -46


def test_speech_after_silence_is_not_clipped() -> None:
    control = LevelControl()
    for _ in range(10):
        control.feed(noise(-80))
    loud = noise(-20)
    assert np.array_equal(control.feed(loud), loud)


def test_any_division_into_chunks_gives_the_same() -> None:
    sound = noise(-60, 40)
    control = LevelControl()
    pieces = [control.feed(sound[at : at + 3]) for at in range(0, 40, 3)]
    np.testing.assert_allclose(np.concatenate(pieces), LevelControl().feed(sound), atol=1e-7)
