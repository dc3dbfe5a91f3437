"""Loading of models: memory, threads, batches, and what is measured."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

import pytest

from wyoming_faster_whisper.app.loading import (
    largest_batch,
    load_engine,
    reload,
    remember,
    workers_for,
)
from wyoming_faster_whisper.app.whisper import choose_whisper
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.whisper.tuning import Tuned
from wyoming_faster_whisper.errors import ModelError, NoMemory
from wyoming_faster_whisper.models import Measurements

from .made import put_model


def test_a_model_that_does_not_fit_is_refused_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_model(tmp_path / "medium")
    os.truncate(tmp_path / "medium" / "model.bin", 1_500_000_000)  # sparse: takes no disk space
    monkeypatch.setattr("wyoming_faster_whisper.hardware.available_memory", lambda: 1000.0)
    settings = Settings(model=("medium",))
    model = choose_whisper("medium", settings, [tmp_path])
    with pytest.raises(ModelError) as caught:
        load_engine(model, settings, [tmp_path], loaded=lambda: None)
    assert str(caught.value) == (
        "medium needs about 2385 MB of memory, but 1000 MB are available; choose a smaller "
        "model with --model"
    )


@pytest.mark.parametrize(
    ("threads", "together", "workers"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (4, 3, 1), (64, 1, 4)]
)
def test_threads_not_needed_for_one_decode_become_more_workers(
    threads: int, together: int, workers: int
) -> None:
    assert workers_for(threads, together) == workers


@pytest.mark.parametrize(
    ("wanted", "gpu", "workers", "largest"),
    [
        ("auto", False, 1, 6),
        ("auto", False, 2, 3),
        ("auto", False, 4, 1),
        ("auto", True, 1, 32),
        (7, False, 4, 7),
    ],
)
def test_the_largest_batch_follows_from_the_workers_or_the_operator(
    wanted: int | str, gpu: bool, workers: int, largest: int
) -> None:
    assert largest_batch(wanted, gpu=gpu, workers=workers) == largest


def test_a_model_is_reloaded_only_if_there_is_enough_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_model(tmp_path / "small")
    os.truncate(tmp_path / "small" / "model.bin", 500_000_000)
    settings = Settings(model=("small",))
    model = choose_whisper("small", settings, [tmp_path])
    again = partial(reload, model, tmp_path / "small", settings, lambda: "weights")
    assert again() == "weights"
    monkeypatch.setattr("wyoming_faster_whisper.hardware.available_memory", lambda: 100.0)
    with pytest.raises(NoMemory, match=r"about 835 MB .* but 100 MB are available"):
        again()


def test_a_memory_error_during_a_reload_becomes_no_memory(tmp_path: Path) -> None:
    def load() -> None:
        raise MemoryError("std::bad_alloc")

    put_model(tmp_path / "tiny")
    settings = Settings(model=("tiny",))
    model = choose_whisper("tiny", settings, [tmp_path])
    with pytest.raises(NoMemory, match="tiny"):
        reload(model, tmp_path / "tiny", settings, load)


def test_a_measurement_is_logged_once_and_when_its_result_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    measured = remember(Measurements(tmp_path), "base", "base-int8", 2, beam_size=0)
    for choice in (
        Tuned(1.2, 1, 2, again=False),
        Tuned(1.1, 1, 2, again=True),
        Tuned(0.3, 5, 4, again=True),
    ):
        measured(choice)
    decodes = "Model base-int8 decodes a typical command in"
    assert [record.getMessage() for record in caplog.records] == [
        f"{decodes} 1.20 s on 2 threads: beam 1, batches of up to 2",
        f"{decodes} 0.30 s on 2 threads: beam 5, batches of up to 4",
    ]


def test_a_slow_first_measurement_is_not_stored_until_it_is_confirmed(tmp_path: Path) -> None:
    figures = Measurements(tmp_path)
    measured = remember(figures, "base", "base-int8", 2, beam_size=0)
    measured(Tuned(1.2, 1, 2, again=False))
    assert figures.read() == {}
    measured(Tuned(1.1, 1, 2, again=True))  # as slow when idle
    assert figures.read()["base"].seconds == 1.1


def test_a_fast_first_measurement_is_stored(tmp_path: Path) -> None:
    figures = Measurements(tmp_path)
    remember(figures, "base", "base-int8", 2, beam_size=0)(Tuned(0.2, 5, 2, again=False))
    assert figures.read()["base"].seconds == 0.2
