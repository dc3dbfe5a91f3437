"""Recognizer whose decodes take a known time. Its text is the name of the pod."""

from __future__ import annotations

import os
import time

from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.engine.recognizer import Recognizer, RecognizerSettings, ServedModel
from wyoming_faster_whisper.testing import FakeEngine

POD, SECONDS = "SLEEPER_POD", "SLEEPER_SECONDS"
"""Environment variables: the name of the pod, and how long a decode takes."""


def _sleep(job: Job) -> str:
    time.sleep(float(os.environ[SECONDS]))
    return os.environ[POD]


def recognizer(settings: RecognizerSettings) -> Recognizer:
    return Recognizer(models=(ServedModel("sleeper", ("en",)),), load=lambda: FakeEngine(_sleep))
