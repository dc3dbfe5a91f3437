"""Encoding step: encodes clips, in the window that each pass needs."""

from __future__ import annotations

from ...audio.pcm import SAMPLE_RATE, slow_down
from ..protocol import Job
from .acoustic_model import AcousticModel, Encoding
from .calibration.values import Calibrations
from .clip import Clip
from .language import known_language
from .window import FULL_FRAMES, FULL_SECONDS, Window, window_frames

SPEED = 0.9
"""Playback speed of the audio in the second pass over an unlikely text."""

LONGEST_DETECTION = 2000
"""Frames of the longest window in which a language is detected before the one in which it is
decoded. A longer one costs half of the full window or more, and may be of no further use."""


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
        """Return the window in which a job is encoded first, in frames.

        That of its first pass, or, if its language is unknown, the one in which it is detected.
        """
        if known := self._known_language(job):
            return self.pass_frames(job, known)
        frames, longest = self._detection_frames(job), self.longest_frames(job)
        enough = job.speech_seconds >= self._calibrations.of("").detection.least_speech
        return frames if enough and frames <= min(longest, LONGEST_DETECTION) else longest

    def pass_frames(self, job: Job, language: str) -> int:
        """Return the window of a job's first pass in a language, in frames."""
        return self._window(_seconds(job), self._calibrations.of(language).window)

    def longest_frames(self, job: Job) -> int:
        """Return the window that is long enough for whatever language a job is in, in frames."""
        known = self._known_language(job)
        codes = (known,) if known else job.options.candidate_languages or ("",)
        return max(self.pass_frames(job, code) for code in codes)

    def first(self, clip: Clip) -> Encoding:
        """Return the encoding of a clip's first pass, which is computed if the clip has none."""
        if clip.encoding is None:
            clip.encoding = self._model.encode([clip.features], clip.frames)
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
        return self._window(clip.seconds / _speed(clip), clip.calibration.window, second=True)

    def _known_language(self, job: Job) -> str:
        return known_language(job.options, multilingual=self._model.tokenizer.multilingual)

    def _detection_frames(self, job: Job) -> int:
        """Return the shortest window in which a job's language can be detected, in frames.

        If that is long enough for the likeliest language, a clip in it is encoded once.
        """
        options, detection = job.options, self._calibrations.of("").detection
        least = self._window(_seconds(job), detection.window)
        likeliest, expected = options.candidate_languages, options.expected_language
        if expected and expected in likeliest:
            likeliest = (expected,)
        return max(least, min((self.pass_frames(job, code) for code in likeliest), default=0))

    def _window(self, seconds: float, window: Window, *, second: bool = False) -> int:
        return FULL_FRAMES if self._full_window else window_frames(seconds, window, second=second)


def _seconds(job: Job) -> float:
    return job.seconds + job.leading_silence / SAMPLE_RATE


def _speed(clip: Clip) -> float:
    return max(SPEED, clip.seconds / (FULL_SECONDS - 1))  # it must fit the window
