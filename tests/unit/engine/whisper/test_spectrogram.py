"""The log-mel spectrogram equals that of faster-whisper."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.whisper.spectrogram import Features, Spectrogram, to_features
from wyoming_faster_whisper.testing import silence, tone


def features(samples: Samples, bands: int = 80) -> Features:
    return to_features(Spectrogram(bands).power(samples))


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("samples", [400, 1000, 16_000, 48_123])
def test_the_spectrogram_of_noise_equals_that_of_faster_whisper(bands: int, samples: int) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    noise[samples // 2 :] *= 1e-3
    ours, theirs = features(noise, bands), FeatureExtractor(feature_size=bands)(noise)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_spectrogram_of_silence_and_tones_equals_that_of_faster_whisper() -> None:
    for sound in (silence(1.0), tone(1.0), tone(0.5, hertz=3000.0)):
        np.testing.assert_allclose(features(sound), FeatureExtractor()(sound), atol=1e-4)
