"""Which model the settings choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from wyoming_faster_whisper.loading import choose_models, largest_batch, workers_for
from wyoming_faster_whisper.settings import Settings


def chosen(tmp_path: Path, language: str = "auto", device: str = "cpu") -> str:
    settings = Settings(language=language, device=device)
    return choose_models(settings, [tmp_path])[0].name


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_faster_whisper.hardware.available_memory", lambda: 8000.0)
    monkeypatch.setattr("wyoming_faster_whisper.hardware.is_arm", lambda: False)
    monkeypatch.setattr("wyoming_faster_whisper.models.packages.PACKAGED", {})


@pytest.mark.parametrize("language", ["en", "en_GB", " EN-us"])
def test_any_tag_of_english_may_have_an_english_model(tmp_path: Path, language: str) -> None:
    put_model(tmp_path / "base.en")
    assert chosen(tmp_path, language) == "base.en"


@pytest.mark.parametrize("language", ["auto", "de", "und"])
def test_others_may_not(tmp_path: Path, language: str) -> None:
    put_model(tmp_path / "base.en")
    assert chosen(tmp_path, language) == "base-int8"


def test_only_a_gpu_that_was_asked_for_counts_as_one(tmp_path: Path) -> None:
    assert chosen(tmp_path, device="cuda") == "small"
    assert chosen(tmp_path, device="auto") == "base-int8"


@dataclass(frozen=True)
class Weights:
    device: str
    num_workers: int


@pytest.mark.parametrize(
    ("threads", "together", "workers"), [(1, 1, 1), (2, 1, 2), (2, 2, 1), (4, 3, 1), (64, 1, 4)]
)
def test_threads_that_do_not_decode_together_serve_others(
    threads: int, together: int, workers: int
) -> None:
    assert workers_for(threads, together) == workers


@pytest.mark.parametrize(
    ("wanted", "weights", "largest"),
    [
        ("auto", Weights("cpu", 1), 4),
        ("auto", Weights("cpu", 4), 1),
        ("auto", Weights("cuda", 1), 32),
        (7, Weights("cpu", 4), 7),
    ],
)
def test_a_batch_is_as_large_as_memory_or_the_operator_allows(
    wanted: int | str, weights: Weights, largest: int
) -> None:
    assert largest_batch(wanted, weights) == largest


def put_model(directory: Path) -> None:
    directory.mkdir()
    for name in ("model.bin", "config.json"):
        (directory / name).touch()
