"""Jobs and first passes as the pipeline makes them, for benchmarks of single steps."""

from __future__ import annotations

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibration
from wyoming_faster_whisper.engine.whisper.clip import Clip
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.engine.whisper.window import window_frames
from wyoming_faster_whisper.speech.segmenter import Segment

from .clips import SAMPLE_RATE, Samples


def segment_job(sound: Samples, part: Segment, options: DecodeOptions) -> Job:
    """Return the final job of a segment of a recording."""
    return Job(
        sound[part.start : part.end],
        options,
        certain_speech=part.certain_speech,
        speech_peak=part.peak,
        speech=part.speech_samples,
        leading_silence=part.leading_silence,
    )


def engine_clip(model: AcousticModel, fitted: Calibration, job: Job) -> Clip:
    """Return a job as the steps of the pipeline take it, in the language of its options."""
    language = job.options.language or "en"
    prompt = model.tokenizer.prompt(job.options, language)
    features = model.features(job.padded_samples)
    frames = window_frames(job.seconds + job.leading_silence / SAMPLE_RATE, fitted.window)
    return Clip(job, features, language, 1.0, prompt, BEAM, fitted, frames)
