"""Gain normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.gain import TARGET, GainNormaliser, gain
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.audio.steps import FRAME

ROOM = -75.0  # dBFS


def sound(level: float, seconds: float, hz: float = 300.0) -> Samples:
    """Return a tone of an RMS level in dBFS in a quiet room."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(0).standard_normal(len(times)) * 10 ** (ROOM / 20)
    tone = np.sqrt(2) * 10 ** (level / 20) * np.sin(2 * np.pi * hz * times)
    return np.asarray(tone + noise, np.float32)


def room(seconds: float) -> Samples:
    return sound(-200.0, seconds)


def normalised(samples: Samples, step: GainNormaliser | None = None) -> Samples:
    """Return the whole output without the delay."""
    step = step or GainNormaliser()
    padded = np.pad(samples, (0, step.delay + -len(samples) % FRAME))
    return step(padded)[step.delay :][: len(samples)]


def level(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize("quiet", [-50.0, -40.0, -30.0])
def test_quiet_speech_is_raised_to_the_target(quiet: float) -> None:
    out = normalised(np.concatenate([room(0.5), sound(quiet, 2.0)]))
    assert level(out[-SAMPLE_RATE // 2 :]) == pytest.approx(TARGET, abs=1.0)


def test_the_gain_is_limited() -> None:
    out = normalised(np.concatenate([room(0.5), sound(-60.0, 2.0)]))
    assert level(out[-SAMPLE_RATE // 2 :]) == pytest.approx(-30.0, abs=1.0)


def test_loud_speech_passes_unchanged() -> None:
    loud = np.concatenate([room(0.5), sound(-15.0, 1.0)])
    np.testing.assert_allclose(normalised(loud), loud, atol=1e-6)


def test_an_empty_room_is_not_amplified() -> None:
    np.testing.assert_allclose(normalised(room(3.0)), room(3.0), atol=1e-6)


def test_a_loud_sound_after_quiet_speech_does_not_clip() -> None:
    heard = [room(0.5), sound(-50.0, 2.0), sound(-6.0, 0.1), sound(-50.0, 0.5)]
    out = normalised(np.concatenate(heard))
    assert np.abs(out).max() < 0.9


def test_the_gain_changes_without_a_step() -> None:
    """Neighbouring samples differ by no more than those of the loudest tone can."""
    out = normalised(np.concatenate([room(0.5), sound(-45.0, 1.0), sound(-20.0, 0.5)]))
    steepest = 2 * np.pi * 300 / SAMPLE_RATE * np.sqrt(2) * 10 ** (-17 / 20)
    assert np.abs(np.diff(out)).max() < steepest


def test_the_output_does_not_depend_on_the_chunk_size() -> None:
    heard = np.concatenate([room(0.5), sound(-40.0, 1.0)])
    whole, step = GainNormaliser()(heard), GainNormaliser()
    pieces = [step(heard[at : at + FRAME]) for at in range(0, len(heard), FRAME)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-7)


def test_digital_silence_stays_silent() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert not normalised(silence).any()


def test_the_argument_is_the_target() -> None:
    out = normalised(np.concatenate([room(0.5), sound(-45.0, 2.0)]), gain("-30"))
    assert level(out[-SAMPLE_RATE // 2 :]) == pytest.approx(-30.0, abs=1.0)
    assert level(normalised(sound(-20.0, 0.1), gain(""))) == pytest.approx(-20.0, abs=0.1)


@pytest.mark.parametrize("argument", ["-60", "0", "loud", "nan"])
def test_another_target_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"target is {argument}; it must be -50 to -10 dBFS"):
        gain(argument)
