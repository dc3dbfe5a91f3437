"""The calibration of base in English, whose values the tests know."""

from __future__ import annotations

from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations

ENGLISH = Calibrations("base").of("en")
