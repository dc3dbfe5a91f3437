"""Names, languages and layouts of Moonshine's models."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import size_of, standard_name
from wyoming_faster_whisper.models.moonshine import (
    choose_moonshine,
    find_files,
    locate_moonshine,
)


def put(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"x")
    return folder


COMPLETE = ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json")


@pytest.mark.parametrize("name", ["base", "tiny.en", "nemo-parakeet-ctc-0.6b"])
def test_names_of_other_models_are_not_resolved(tmp_path: Path, name: str) -> None:
    assert choose_moonshine(name, [tmp_path]) is None


@pytest.mark.parametrize("name", ["moonshine-base-en", "Moonshine-Base", "moonshine-base"])
def test_names_have_aliases_in_any_case(tmp_path: Path, name: str) -> None:
    model = choose_moonshine(name, [tmp_path])
    assert model is not None
    assert (model.name, model.languages, model.directory) == ("moonshine-base-en", ("en",), None)
    assert model.repository == "onnx-community/moonshine-base-ONNX"


def test_a_hub_id_stands_for_itself(tmp_path: Path) -> None:
    model = choose_moonshine("someone/moonshine-tiny-ja-ONNX", [tmp_path])
    assert model is not None
    assert (model.repository, model.languages) == ("someone/moonshine-tiny-ja-ONNX", ("ja",))


def test_a_model_is_found_in_the_data_folders(tmp_path: Path) -> None:
    cached = tmp_path / "models--onnx-community--moonshine-tiny-ONNX" / "snapshots" / "1"
    put(cached, "onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx", "tokenizer.json")
    model = choose_moonshine("moonshine-tiny-en", [tmp_path])
    assert model is not None
    assert model.directory == cached
    files = locate_moonshine(model, tmp_path, local_files_only=True)
    assert files.encoder == cached / "onnx" / "encoder_model.onnx"


def test_the_original_is_preferred_to_quantised_forms(tmp_path: Path) -> None:
    put(tmp_path, *COMPLETE, "encoder_model_int8.onnx", "decoder_model_merged_int8.onnx")
    files = find_files(tmp_path)
    assert files is not None
    assert files.decoder.name == "decoder_model_merged.onnx"


def test_both_graphs_have_the_same_form(tmp_path: Path) -> None:
    put(tmp_path, "encoder_model.onnx", "decoder_model_merged_int8.onnx", "tokenizer.bin")
    assert find_files(tmp_path) is None


def test_without_a_copy_and_without_the_hub_the_places_are_named(tmp_path: Path) -> None:
    model = choose_moonshine("moonshine-tiny-en", [tmp_path])
    assert model is not None
    with pytest.raises(ModelError, match="neither in the data folders nor in an installed pack"):
        locate_moonshine(model, tmp_path, local_files_only=True)


def test_its_sizes_are_not_whispers() -> None:
    assert size_of("moonshine-base-en") == ""
    assert standard_name("moonshine-base-en") == ""
