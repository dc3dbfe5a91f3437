"""Which model the settings choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper.loading import choose_models
from wyoming_faster_whisper.settings import Settings


def chosen(tmp_path: Path, language: str = "auto", device: str = "cpu") -> str:
    settings = Settings(language=language, device=device)
    return choose_models(settings, [tmp_path])[0].name


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_faster_whisper.hardware.available_memory", lambda: 8000.0)
    monkeypatch.setattr("wyoming_faster_whisper.hardware.is_arm", lambda: False)
    monkeypatch.setattr("wyoming_faster_whisper.models.PACKAGED", {})


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


def put_model(directory: Path) -> None:
    directory.mkdir()
    for name in ("model.bin", "config.json"):
        (directory / name).touch()
