"""The engine around the pipeline: errors, unloading, and the measured settings."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.engine.whisper.tuning import Limits, Tuned
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import spoken


def test_a_failure_of_the_model_is_an_engine_error() -> None:
    engine = WhisperEngine(FakeAcousticModel(RuntimeError("CUDA out of memory")))
    with pytest.raises(EngineError, match="failed on this audio: CUDA out of memory"):
        engine.decode([spoken(2.0)])


def test_any_other_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        WhisperEngine(FakeAcousticModel(ZeroDivisionError())).decode([spoken(2.0)])


def test_the_model_is_unloaded_and_loaded_again() -> None:
    model = FakeAcousticModel(heard("Turn on the lights."))
    engine = WhisperEngine(model)
    engine.unload()
    assert not model.loaded
    engine.load()
    assert model.loaded


def test_the_measured_settings_are_reported_and_used() -> None:
    model = FakeAcousticModel(heard("Turn on the lights."))
    choices: list[Tuned] = []
    engine = WhisperEngine(model, limits=Limits(4), measured=choices.append)
    assert engine.max_batch == 2  # until it is measured
    engine.warm_up()
    [choice] = choices
    assert engine.max_batch == choice.batch
    assert (choice.beam, 1) in model.timed
    assert {clips for _, clips in model.timed} <= {1, 2, 4}
