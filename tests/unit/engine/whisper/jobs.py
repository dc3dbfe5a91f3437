"""Jobs and clips for the tests of the pipeline's steps."""

from __future__ import annotations

from typing import Any

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.clip import Clip
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.engine.whisper.window import window_frames
from wyoming_faster_whisper.testing import silence
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel

ENGLISH = DecodeOptions(language="en")


def spoken(
    seconds: float,
    *stretches: tuple[float, float],
    options: DecodeOptions = ENGLISH,
    samples: Samples | None = None,
    **more: Any,
) -> Job:
    """Return a job with speech in the given stretches, in seconds."""
    speech = tuple(
        (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in stretches
    )
    return Job(silence(seconds) if samples is None else samples, options, speech=speech, **more)


def clip_of(model: FakeAcousticModel, job: Job) -> Clip:
    """Return an English clip as the pipeline makes it."""
    prompt = model.tokenizer.prompt(job.options, "en")
    fitted = Calibrations("base").of("en")
    frames = window_frames(job.seconds, fitted.window)
    return Clip(job, model.features(job.padded_samples), "en", 1.0, prompt, 5, fitted, frames)


def encoder_of(model: FakeAcousticModel) -> Encoder:
    """Return an encoder of the model base, which gets a short window first."""
    return Encoder(model, Calibrations("base"), full_window=False)


def decode(
    model: FakeAcousticModel, *jobs: Job, size: str = "base", beam: int = 5
) -> list[Transcript]:
    """Decode a batch through the whole pipeline."""
    return WhisperPipeline(model, Calibrations(size)).decode(jobs, beam)


def clicked(seconds: float) -> Samples:
    """Return silence with a click 0.1 s before its end."""
    samples = silence(seconds)
    samples[-SAMPLE_RATE // 10] = 1.0
    return samples
