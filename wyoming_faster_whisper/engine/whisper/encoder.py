"""Encoding step: encodes clips, in the window that each pass needs."""

from __future__ import annotations

from collections.abc import Sequence

from ...audio.pcm import SAMPLE_RATE, slow_down
from ..protocol import Job
from .acoustic_model import AcousticModel, Encoding
from .calibration.values import Calibrations
from .clip import Clip
from .language import known_language
from .spectrogram import Features
from .window import FULL_FRAMES, FULL_SECONDS, window_frames

SPEED = 0.9
"""Playback speed of the audio in the second pass over an unlikely text."""


class Encoder:
    """Encodes clips for the passes of the pipeline.

    Args:
        calibrations: the values fitted for the model.
        full_window: always use the 30 s window that the model was trained on.
    """

    def __init__(
        self, model: AcousticModel, calibrations: Calibrations, *, full_window: bool
    ) -> None:
        self._model = model
        self._calibrations = calibrations
        self._full_window = full_window

    def frames(self, job: Job) -> int:
        """Return the window of a job's first pass, in frames."""
        return self._window(job, job.seconds + job.leading_silence / SAMPLE_RATE)

    def batch(self, jobs: Sequence[Job], features: Sequence[Features]) -> Encoding:
        """Encode jobs together, for their first pass."""
        return self._model.encode(features, max(map(self.frames, jobs)))

    def first(self, clip: Clip) -> Encoding:
        """Return the encoding of a clip's first pass.

        A batch of several jobs has one joint encoding. The clip's own is computed when a step
        first asks for it, and kept for later steps.
        """
        if clip.encoding is None:
            clip.encoding = self._model.encode([clip.features], self.frames(clip.job))
        return clip.encoding

    def full(self, clip: Clip) -> Encoding:
        """Encode a clip in the full window."""
        return self._model.encode([clip.features], FULL_FRAMES)

    def slower(self, clip: Clip) -> Encoding:
        """Encode slower audio of a clip (speed perturbation)."""
        features = self._model.features(slow_down(clip.job.padded_samples, _speed(clip)))
        return self._model.encode([features], self.slower_frames(clip))

    def slower_frames(self, clip: Clip) -> int:
        """Return the window of slower audio of a clip, in frames."""
        return self._window(clip.job, clip.seconds / _speed(clip), second=True)

    def _window(self, job: Job, seconds: float, *, second: bool = False) -> int:
        if self._full_window:
            return FULL_FRAMES
        language = known_language(job.options, multilingual=self._model.tokenizer.multilingual)
        # Until the language is detected, the longest window that a candidate needs; without
        # candidates, the cautious one.
        candidates = () if language else job.options.candidate_languages
        windows = [self._calibrations.of(code).window for code in candidates or (language,)]
        return max(window_frames(seconds, each, second=second) for each in windows)


def _speed(clip: Clip) -> float:
    return max(SPEED, clip.seconds / (FULL_SECONDS - 1))  # it must fit the window
