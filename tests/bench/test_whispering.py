"""Whispered speech: no voice is left, the vowel and its level are."""

import numpy as np

from bench.speech.whispering import whispered
from bench.support.clips import SAMPLE_RATE, Samples

PITCH = 125  # Hz


def vowel(formant: float) -> Samples:
    """Return a second of a buzz, loudest around a frequency in Hz."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    harmonics = np.arange(PITCH, 4000, PITCH)
    strength = 1 / (1 + ((harmonics - formant) / 200) ** 2)
    return np.asarray(strength @ np.sin(2 * np.pi * harmonics[:, None] * time) / 50, np.float32)


def periodicity(sound: Samples) -> float:
    """Return the autocorrelation at the period of the voice."""
    period = SAMPLE_RATE // PITCH
    return float(np.corrcoef(sound[:-period], sound[period:])[0, 1])


def loudest(sound: Samples) -> float:
    """Return the middle of the loudest band of 400 Hz."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float(np.argmax(power[:4000].reshape(-1, 400).sum(axis=1)) * 400 + 200)


def test_a_whisper_has_no_voice() -> None:
    voiced = vowel(1000)
    assert periodicity(voiced) > 0.95
    assert abs(periodicity(whispered(voiced, "a"))) < 0.3


def test_a_whisper_keeps_the_vowel_and_its_level() -> None:
    for formant in (600, 1800):
        voiced = vowel(formant)
        breath = whispered(voiced, "a")
        assert abs(loudest(breath) - formant) <= 200
        assert 0.7 < np.std(breath) / np.std(voiced) < 1.4


def test_silence_stays_silent() -> None:
    assert not whispered(np.zeros(SAMPLE_RATE, np.float32), "a").any()
