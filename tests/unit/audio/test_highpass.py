"""High-pass filter that every audio stream passes."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.highpass import CUTOFF, HighPass, high_pass
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE


def tone(hz: float) -> np.ndarray:
    """Return two seconds of a tone."""
    times = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    return np.sin(2 * np.pi * hz * times).astype(np.float32)


def gain(hz: float) -> float:
    """Return the gain in dB after the filter has settled."""
    out = HighPass().feed(tone(hz))[SAMPLE_RATE:]
    return float(20 * np.log10(np.sqrt(2 * np.mean(out**2))))


@pytest.mark.parametrize("offset", [0.02, -0.3, 0.9])
def test_a_dc_offset_is_removed_from_the_first_sample(offset: float) -> None:
    out = HighPass().feed(np.full(SAMPLE_RATE, offset, np.float32))
    assert np.abs(out).max() < 1e-6


def test_the_filter_is_a_butterworth_filter_of_order_6() -> None:
    for hz in (20.0, 50.0, 60.0, CUTOFF, 120.0, 200.0):
        expected = -10 * np.log10(1 + (CUTOFF / hz) ** 12)
        assert gain(hz) == pytest.approx(expected, abs=0.15)


def test_speech_frequencies_pass_unchanged() -> None:
    for hz in (200.0, 1000.0, 4000.0):
        assert abs(gain(hz)) < 0.05


@pytest.mark.parametrize("size", [1, 7, 160, 255, 256, 257, 5000])
def test_the_output_does_not_depend_on_the_chunk_size(size: int) -> None:
    sound = np.random.default_rng(0).normal(0.1, 0.1, 6000).astype(np.float32)
    stream = HighPass()
    pieces = [stream.feed(sound[at : at + size]) for at in range(0, len(sound), size)]
    np.testing.assert_allclose(np.concatenate(pieces), HighPass().feed(sound), atol=1e-6)


def test_empty_input_gives_empty_output() -> None:
    assert len(HighPass().feed(np.zeros(0, np.float32))) == 0


@pytest.mark.parametrize(("argument", "cutoff"), [("", 80.0), ("120", 120.0), ("62.5", 62.5)])
def test_the_argument_of_the_step_is_the_cutoff(argument: str, cutoff: float) -> None:
    for hz in (50.0, cutoff, 200.0):
        out = high_pass(argument)(tone(hz))[SAMPLE_RATE:]
        found = 20 * np.log10(np.sqrt(2 * np.mean(out**2)))
        assert found == pytest.approx(-10 * np.log10(1 + (cutoff / hz) ** 12), abs=0.15)


@pytest.mark.parametrize("argument", ["0", "19", "401", "-80", "nan", "inf", "low", "80Hz"])
def test_another_cutoff_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"cutoff is {argument}; it must be 20 to 400 Hz"):
        high_pass(argument)
