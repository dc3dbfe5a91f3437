"""Recognizer whose decodes take a known time. Its text is the name of the pod."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Sequence

from wyoming_faster_whisper.engine.protocol import Job, Transcript
from wyoming_faster_whisper.engine.recognizer import Recognizer, RecognizerSettings, ServedModel

POD, SECONDS = "SLEEPER_POD", "SLEEPER_SECONDS"
"""Environment variables: the name of the pod, and how long a decode takes."""


class Sleeper:
    """Engine that decodes one job at a time."""

    max_batch = max_long_batch = 1
    parallel = 1

    def batch_key(self, job: Job) -> Hashable:
        return job.options

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        time.sleep(float(os.environ[SECONDS]))
        return [Transcript(os.environ[POD], job.options.language) for job in jobs]

    def warm_up(self, needed: Callable[[], bool]) -> None:
        pass

    def unload(self) -> None:
        pass

    def load(self) -> None:
        pass


def recognizer(settings: RecognizerSettings) -> Recognizer:
    return Recognizer(models=(ServedModel("sleeper", ("en",)),), load=Sleeper)
