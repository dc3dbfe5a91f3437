"""Noise suppression of WebRTC."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.denoise import Denoise, denoise
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.audio.steps import FRAME
from wyoming_faster_whisper.errors import SettingError

NOISE = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32) * 0.03


def level(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))


def test_steady_noise_is_reduced_the_more_the_higher_the_level() -> None:
    reductions = [
        level(NOISE[-SAMPLE_RATE:]) - level(denoise(argument)(NOISE)[-SAMPLE_RATE:])
        for argument in ("1", "2", "3", "4")
    ]
    assert reductions[0] > 4
    assert reductions == sorted(reductions)
    assert reductions[3] > reductions[0] + 4


def test_speech_comes_out_late_by_the_declared_delay() -> None:
    """The lag is where the two signals, whitened, agree best (GCC-PHAT)."""
    speech = np.concatenate([NOISE * 0.01, CLIPS["kitchen"].samples])
    speech = speech[: len(speech) // FRAME * FRAME]
    out = Denoise(1)(speech)
    before, after = (np.fft.rfft(each, 2 * len(speech)) for each in (speech, out))
    cross = after * before.conj()
    agreement = np.fft.irfft(cross / (np.abs(cross) + 1e-9))
    assert int(np.argmax(agreement)) == Denoise.delay


def test_the_output_does_not_depend_on_the_chunk_size() -> None:
    whole, step = Denoise(2)(NOISE), Denoise(2)
    pieces = [step(NOISE[at : at + FRAME]) for at in range(0, len(NOISE), FRAME)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("argument", ["0", "5", "-1", "much", "2.5"])
def test_another_level_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"level is {argument}; it must be 1 to 4"):
        denoise(argument)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtc_noise_gain", None)
    with pytest.raises(SettingError) as caught:
        denoise("")
    assert str(caught.value) == (
        f"it needs webrtc_noise_gain: {sys.executable} -m "
        "pip install 'wyoming-faster-whisper[denoise]'"
    )
