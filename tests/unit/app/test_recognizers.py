"""Choice of the recognizer by --stt-library."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import toy_recognizer
from tests.support.plug_ins import install
from wyoming_faster_whisper.app.recognizers import choose_recognizer, load_default
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.recognizer import (
    EVERYTHING,
    Recognizer,
    RecognizerSettings,
    ServedModel,
)
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.testing import FakeEngine


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = install(
        tmp_path / "packages",
        toy=f"{toy_recognizer.__name__}:recognizer",
        asks=f"{__name__}:ask",
        broken="a_package_that_is_not_there:recognizer",
    )
    monkeypatch.syspath_prepend(here)


def chosen(tmp_path: Path, **given: object) -> Recognizer:
    settings = Settings(**given)  # type: ignore[arg-type]
    return choose_recognizer(settings, [tmp_path], loaded=lambda: None)


@pytest.mark.parametrize("library", ["auto", "faster-whisper"])
def test_faster_whisper_is_built_in(tmp_path: Path, library: str) -> None:
    recognizer = chosen(tmp_path, stt_library=library, model=("tiny", "base.en"))
    assert [model.name for model in recognizer.models] == ["tiny", "base.en"]
    assert recognizer.models[1].languages == ("en",)
    assert all(model.capabilities == EVERYTHING for model in recognizer.models)


def test_a_library_of_an_installed_package_is_chosen_by_its_name(tmp_path: Path) -> None:
    recognizer = chosen(tmp_path, stt_library="toy")
    assert recognizer.models == (toy_recognizer.MODEL,)
    assert isinstance(load_default(recognizer), toy_recognizer.Loudness)


asked: list[RecognizerSettings] = []


def ask(settings: RecognizerSettings) -> Recognizer:
    asked.append(settings)
    return Recognizer(models=(ServedModel("model", ("en",)),), load=FakeEngine)


def test_a_library_gets_the_settings_that_it_may_need(tmp_path: Path) -> None:
    asked.clear()
    chosen(
        tmp_path,
        stt_library="asks",
        model=("one", "two"),
        device="cuda:1",
        cpu_threads=1,
        local_files_only=True,
    )
    assert asked == [
        RecognizerSettings(
            models=("one", "two"),
            folders=(tmp_path,),
            local_files_only=True,
            device="cuda:1",
            threads=1,
        )
    ]


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ("broken", "No module named 'a_package_that_is_not_there'"),
        ("sherpa", "it is not installed"),
    ],
)
def test_a_library_that_cannot_be_imported_is_replaced_with_one_warning(
    tmp_path: Path, library: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    recognizer = chosen(tmp_path, stt_library=library, model=("base",), audio_context="full")
    assert all(model.capabilities == EVERYTHING for model in recognizer.models)
    assert caplog.messages == [
        f"--stt-library {library} cannot be used ({reason}); using faster-whisper"
    ]


def test_settings_of_faster_whisper_are_a_warning_with_another_library(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen(tmp_path, stt_library="toy", audio_context="full", max_batch=4)
    assert caplog.messages == [
        "--max-batch is ignored; only faster-whisper and onnx-asr have it",
        "--audio-context is ignored; only faster-whisper has it",
    ]


def test_settings_of_onnx_runtime_are_a_warning_with_other_models(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"onnx_provider": "cuda", "onnx_quantization": "int8"}
    chosen(tmp_path, model=("base",), **given)
    assert caplog.messages == [
        "--onnx-provider is ignored; no model runs on ONNX Runtime",
        "--onnx-quantization is ignored; only onnx-asr has it",
    ]
    caplog.clear()
    chosen(tmp_path, model=("base", "nemo-parakeet-tdt-0.6b-v3"), **given)
    assert caplog.messages == []


def test_the_batch_size_is_not_ignored_by_onnx_asr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"max_batch": 4, "max_batch_seconds": 1.0}
    chosen(tmp_path, model=("nemo-parakeet-tdt-0.6b-v3",), **given)
    assert caplog.messages == []


def test_a_recognizer_offers_a_model_and_a_model_a_language() -> None:
    with pytest.raises(ModelError, match="offers no model"):
        Recognizer(models=(), load=FakeEngine)
    with pytest.raises(ModelError, match="model mute has no language"):
        ServedModel("mute", ())
