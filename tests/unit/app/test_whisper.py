"""Choice of the Whisper model from the settings and the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper.app.whisper import choose_whisper, padded_languages
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.recognizer import ServedModel, is_padded

from .made import put_model


def chosen(tmp_path: Path, language: str = "auto", device: str = "cpu") -> str:
    settings = Settings(language=language, device=device)
    return choose_whisper("auto", settings, [tmp_path]).name


@pytest.mark.parametrize("language", ["en", "en_GB", " EN-us"])
def test_an_english_only_model_may_be_chosen_for_any_english_tag(
    tmp_path: Path, language: str
) -> None:
    put_model(tmp_path / "base.en")
    assert chosen(tmp_path, language) == "base.en"


def test_auto_may_be_written_in_any_case(tmp_path: Path) -> None:
    assert choose_whisper("Auto", Settings(), [tmp_path]).name == "base-int8"


@pytest.mark.parametrize("language", ["auto", "de", "und"])
def test_an_english_only_model_is_not_chosen_for_other_languages(
    tmp_path: Path, language: str
) -> None:
    put_model(tmp_path / "base.en")
    assert chosen(tmp_path, language) == "base-int8"


@pytest.mark.parametrize(
    ("device", "there", "name"),
    [
        ("cuda", True, "small"),
        ("cuda:1", True, "small"),
        ("cuda", False, "base-int8"),  # falls back to the CPU
        ("auto", True, "base-int8"),
        ("cpu", True, "base-int8"),
    ],
)
def test_a_gpu_counts_only_if_it_is_present_and_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, there: bool, name: str
) -> None:
    monkeypatch.setattr("wyoming_faster_whisper.hardware.may_have_gpu", lambda: there)
    assert chosen(tmp_path, device=device) == name


def test_auto_chooses_a_smaller_model_if_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tiny", "base"):
        put_model(tmp_path / name)
    assert chosen(tmp_path) == "base"
    monkeypatch.setattr("wyoming_faster_whisper.hardware.available_memory", lambda: 300.0)
    assert chosen(tmp_path) == "tiny"


def test_audio_is_padded_where_no_shorter_window_is_known(tmp_path: Path) -> None:
    model = choose_whisper("base", Settings(), [tmp_path])
    padded = padded_languages(model, full_window=False)
    assert {"da", "ja", ""} <= padded
    assert padded.isdisjoint({"en", "es", "de"})
    assert padded_languages(model, full_window=True) == {*model.languages, ""}


def test_the_longest_window_of_the_candidates_counts() -> None:
    model = ServedModel("base", ("en", "it"), padded=frozenset({"it", ""}))
    assert is_padded(model, DecodeOptions(language="it"))
    assert not is_padded(model, DecodeOptions(language="en", candidate_languages=("en", "it")))
    assert is_padded(model, DecodeOptions(candidate_languages=("en", "it")))
    assert not is_padded(model, DecodeOptions(candidate_languages=("en",)))
    assert is_padded(model, DecodeOptions())
