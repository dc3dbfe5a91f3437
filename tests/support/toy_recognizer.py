"""Recognizer that tells only how loud the speaker is. docs/recognizers.md explains it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from wyoming_faster_whisper.engine.protocol import Job, Transcript
from wyoming_faster_whisper.engine.recognizer import Recognizer, RecognizerSettings, ServedModel
from wyoming_faster_whisper.errors import ModelError

MODEL = ServedModel("loudness", ("en", "de"), "Hears how loud the speaker is")
WORDS = {"en": ("Quiet.", "Loud."), "de": ("Leise.", "Laut.")}
LOUD = 0.25  # peak; full scale is 1


class Loudness:
    """Engine of the only model."""

    max_batch = max_long_batch = 1
    parallel = 1

    def batch_key(self, job: Job) -> Hashable:
        return job.options

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        return [self._hear(job) for job in jobs]

    def warm_up(self, needed: Callable[[], bool]) -> None:
        pass

    def unload(self) -> None:
        pass

    def load(self) -> None:
        pass

    def _hear(self, job: Job) -> Transcript:
        language = job.options.language
        assert language is not None  # because it cannot detect languages
        quiet, loud = WORDS[language]
        return Transcript(loud if np.abs(job.samples).max() > LOUD else quiet, language)


def recognizer(settings: RecognizerSettings) -> Recognizer:
    """Describe the only model. The entry point refers to this function."""
    for name in settings.models:
        if name not in ("auto", MODEL.name):
            raise ModelError(f"toy has no model {name!r}, only {MODEL.name}")
    return Recognizer(models=(MODEL,), load=Loudness, description="A toy")
