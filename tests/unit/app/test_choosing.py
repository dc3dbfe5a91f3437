"""The model that each --model names, and the library that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from wyoming_faster_whisper.app.choosing import choose_models
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.errors import ModelError, SettingError
from wyoming_faster_whisper.models import Measurements
from wyoming_faster_whisper.models.auto import Measurement

from .made import put_model


def put_moonshine(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.bin"):
        (folder / name).write_bytes(b"x")


def choose(tmp_path: Path, *names: str, **given: object) -> list[tuple[str, str]]:
    settings = Settings(model=names, **given)  # type: ignore[arg-type]
    return [(one.library, one.model.name) for one in choose_models(settings, [tmp_path])]


def test_each_name_goes_to_its_library(tmp_path: Path) -> None:
    assert choose(
        tmp_path, "base", "moonshine-base-en", "nemo-parakeet-tdt-0.6b-v3", "t-tech/t-one"
    ) == [
        ("faster-whisper", "base"),
        ("moonshine", "moonshine-base-en"),
        ("onnx-asr", "nemo-parakeet-tdt-0.6b-v3"),
        ("onnx-asr", "t-tech/t-one"),
    ]


def test_a_folder_goes_to_the_library_of_its_files(tmp_path: Path) -> None:
    put_model(tmp_path / "mine")
    put_moonshine(tmp_path / "moonshine-mine")
    paths = [str(tmp_path / name) for name in ("mine", "moonshine-mine")]
    assert [library for library, _ in choose(tmp_path, *paths)] == ["faster-whisper", "moonshine"]


@pytest.mark.parametrize(
    ("library", "language", "model"),
    [
        ("moonshine", "auto", "moonshine-base-en"),
        ("onnx-asr", "auto", "nemo-parakeet-tdt-0.6b-v3"),
        ("onnx-asr", "ru", "gigaam-v2-rnnt"),
    ],
)
def test_auto_is_the_usual_model_of_a_library(
    tmp_path: Path, library: str, language: str, model: str
) -> None:
    assert choose(tmp_path, "auto", stt_library=library, language=language) == [(library, model)]


@pytest.mark.parametrize(
    ("library", "name"), [("onnx-asr", "base"), ("moonshine", "base"), ("onnx-asr", "no/such")]
)
def test_a_name_of_another_library_is_refused(tmp_path: Path, library: str, name: str) -> None:
    with pytest.raises(ModelError, match=f"{library} has no model '{name}'; give a directory"):
        choose(tmp_path, name, stt_library=library)


def test_whisper_base_is_onnx_asrs_only_if_that_is_asked_for(tmp_path: Path) -> None:
    [chosen] = choose(tmp_path, "whisper-base", stt_library="onnx-asr")
    assert chosen == ("onnx-asr", "whisper-base")
    with pytest.raises(ModelError, match="model 'whisper-base' is unknown"):
        choose(tmp_path, "whisper-base")


def test_a_model_given_twice_is_refused_whatever_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="moonshine-base-en is given twice"):
        choose(tmp_path, "moonshine-base-en", "moonshine-base")


def test_a_model_that_auto_chose_as_well_is_served_once(tmp_path: Path) -> None:
    put_model(tmp_path / "base")
    for names in (("auto", "base"), ("base", "auto")):
        assert choose(tmp_path, *names) == [("faster-whisper", "base")]
    assert len(choose(tmp_path, "auto", "tiny")) == 2
    with pytest.raises(SettingError, match="base is given twice"):
        choose(tmp_path, "auto", "auto")


SLOW = {"base": 0.9, "moonshine-base-en": 0.3}  # seconds for a typical command


class TestAuto:
    """--model auto, with base and Moonshine on this machine."""

    @pytest.fixture(autouse=True)
    def models(self, tmp_path: Path) -> None:
        put_model(tmp_path / "base")
        put_moonshine(tmp_path / "moonshine-base-en")

    def auto(
        self, tmp_path: Path, seconds: Mapping[str, float] | None = None, **given: object
    ) -> tuple[str, str]:
        for name, measured in (seconds or {}).items():
            Measurements(tmp_path).write(name, Measurement(measured, 1))
        [chosen] = choose_models(Settings(**given), [tmp_path])  # type: ignore[arg-type]
        assert chosen.at_hand
        return chosen.library, chosen.model.name

    def test_the_model_that_hears_best_is_chosen_if_it_is_fast_enough(
        self, tmp_path: Path
    ) -> None:
        assert self.auto(tmp_path, language="en") == ("faster-whisper", "base")

    def test_an_english_home_gets_moonshine_where_base_is_too_slow(self, tmp_path: Path) -> None:
        chosen = self.auto(tmp_path, SLOW, language="en-GB")
        assert chosen == ("moonshine", "moonshine-base-en")

    @pytest.mark.parametrize(
        "given",
        [
            {"language": "auto"},
            {"language": "de"},
            {"language": "en", "whisper_task": "translate"},
            {"language": "en", "initial_prompt": "Turn on the lights."},
            {"language": "en", "vad_endpointing": "auto"},
            {"language": "en", "hass_token": "s3cret"},
            {"language": "en", "stt_library": "faster-whisper"},
        ],
    )
    def test_what_only_whisper_can_do_needs_whisper(
        self, tmp_path: Path, given: dict[str, str]
    ) -> None:
        assert self.auto(tmp_path, SLOW, **given) == ("faster-whisper", "base")
