"""Data passed between the steps of the pipeline: a clip, and the result of a pass. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...audio.pcm import SAMPLE_RATE
from ...speech.prosody import harmonicity
from ..protocol import Job
from .acoustic_model import Encoding
from .calibration.values import Calibration
from .coverage import Alignment, Gap, Span
from .hallucination import Decoded
from .prompting import oov_counter
from .spectrogram import Features
from .speech_odds import is_sure
from .token_budget import token_budget


@dataclass(slots=True, eq=False)
class Clip:
    """One job, and what is known of its audio before the first pass."""

    job: Job
    features: Features
    language: str  # Whisper's code, given or detected
    language_probability: float  # 0 to 1
    prompt: list[int]  # tokens, without those of the job's prefix
    beam: int  # beam width of the first pass
    calibration: Calibration  # values for the model and the language
    frames: int  # window of the first pass
    encoding: Encoding | None = None  # of the first pass; see Encoder.first()
    _harmonicity: float | None = field(default=None, init=False)  # None = not measured yet

    @property
    def seconds(self) -> float:
        """Length of the model's input in seconds, with the leading silence."""
        return self.job.seconds + self.job.leading_silence / SAMPLE_RATE

    @property
    def speech(self) -> list[Span]:
        """Stretches in which the VAD found speech, in seconds of the model's input."""
        lead = self.job.leading_silence
        return [((a + lead) / SAMPLE_RATE, (b + lead) / SAMPLE_RATE) for a, b in self.job.speech]

    @property
    def harmonicity(self) -> float:
        """Harmonicity of what the VAD takes for speech, 0 to 1; 0 where the VAD is sure of it.

        Blocking: the first access takes milliseconds.
        """
        if self._harmonicity is None:
            job = self.job
            spoken = [job.samples[start:end] for start, end in job.speech] or [job.samples]
            sure = is_sure(job.speech_peak)
            self._harmonicity = 0.0 if sure else harmonicity(np.concatenate(spoken))
        return self._harmonicity

    def speech_odds(self, decoded: Decoded) -> float:
        """Return the log-odds (natural) that the words of a pass were spoken. Blocking."""
        speech = self.calibration.speech
        return speech.log_odds(decoded, self.job.speech_peak, self.harmonicity)

    @property
    def budget(self) -> int:
        """Maximum number of tokens in the clip's text."""
        return token_budget(self.job.seconds, self.language)

    @property
    def oov_count(self) -> Callable[[str], int]:
        """Counter of the out-of-vocabulary words of a text."""
        return oov_counter(self.tenant, self.job.options, self.language)

    @property
    def tenant(self) -> str:
        """Name of the tenant, in whose part of the caches its values are."""
        return self.job.tenant.name


@dataclass(frozen=True, slots=True)
class Pass:
    """Result of a pass, compared with the audio."""

    decoded: Decoded
    gaps: tuple[Gap, ...] = ()  # speech that the text leaves out
    looped: bool = False  # the decoder exhausted its budget or looped
    # In which the gaps were found; None if the text was not aligned.
    aligned: Alignment | None = field(default=None, repr=False, compare=False)

    @property
    def missing(self) -> float:
        """Length of all gaps in seconds, with the pauses inside them."""
        return sum(gap.end - gap.start for gap in self.gaps)
