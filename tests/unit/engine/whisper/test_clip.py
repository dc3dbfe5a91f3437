"""Clips: what is known of the audio of a job."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.testing import silence, tone
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import clip_of, spoken

BREATH = np.random.default_rng(1).normal(0, 0.05, SAMPLE_RATE).astype(np.float32)
VOICE = tone(1.0)


def harmonicity(samples: Samples, *stretches: tuple[float, float], peak: float = 0.6) -> float:
    job = spoken(2.0, *stretches, samples=samples, speech_peak=peak)
    return clip_of(FakeAcousticModel(heard("Stop.")), job).harmonicity


def test_a_voice_is_harmonic_and_a_whisper_is_not() -> None:
    assert harmonicity(VOICE, (0.0, 1.0)) > 0.8
    assert harmonicity(BREATH, (0.0, 1.0)) < 0.5


def test_only_the_speech_is_measured() -> None:
    both = np.concatenate([VOICE, BREATH])
    assert harmonicity(both, (0.0, 0.8)) == pytest.approx(harmonicity(VOICE, (0.0, 0.8)))
    assert harmonicity(both, (1.1, 1.4), (1.6, 1.9)) < 0.5


def test_all_of_a_clip_without_marked_speech_is_measured() -> None:
    assert harmonicity(VOICE) == harmonicity(VOICE, (0.0, 1.0))


def test_nothing_is_measured_where_the_vad_is_sure() -> None:
    assert harmonicity(VOICE, (0.0, 1.0), peak=0.99) == 0.0


def test_a_voice_that_the_vad_doubts_is_less_likely_to_speak() -> None:
    said = heard("Stop.", avg_logprob=-1.0)

    def odds(samples: Samples, peak: float) -> float:
        job = spoken(1.0, (0.0, 1.0), samples=samples, speech_peak=peak)
        return clip_of(FakeAcousticModel(said), job).speech_odds(said)

    assert odds(VOICE, 0.6) < odds(BREATH, 0.6)
    assert odds(VOICE, 0.99) == odds(BREATH, 0.99) == odds(silence(1.0), 0.99)
