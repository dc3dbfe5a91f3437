"""Moonshine's layout with tiny graphs: what fits together, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.moonshine_graphs import TEXT, put_moonshine, put_tokenizer
from tests.support.onnx_graphs import put_ctc
from wyoming_faster_whisper.app.recognizers import choose_recognizer, load_default
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job
from wyoming_faster_whisper.errors import EngineError, ModelError
from wyoming_faster_whisper.testing import tone

SOUND = tone(1.0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return put_moonshine(tmp_path / "my-moonshine")


def load(directory: Path, **given: object) -> Engine:
    settings = Settings(model=(str(directory),), local_files_only=True, **given)  # type: ignore[arg-type]
    return load_default(choose_recognizer(settings, [directory.parent], loaded=lambda: None))


def test_a_folder_with_moonshines_files_is_served(directory: Path) -> None:
    [heard] = load(directory).decode([Job(SOUND)])
    assert (heard.text, heard.language, heard.verdict) == (TEXT, "en", "believe")
    assert -0.1 < heard.avg_logprob < 0


def test_the_graphs_may_be_in_the_subfolder_onnx(directory: Path) -> None:
    (directory / "onnx").mkdir()
    for graph in ("encoder_model", "decoder_model_merged"):
        (directory / f"{graph}.onnx").replace(directory / "onnx" / f"{graph}_quantized.onnx")
    assert load(directory).decode([Job(SOUND)])[0].text == TEXT


def test_the_language_is_that_of_the_name(directory: Path) -> None:
    japanese = directory.with_name("moonshine-tiny-ja")
    directory.rename(japanese)
    settings = Settings(model=(str(japanese),))
    [model] = choose_recognizer(settings, [japanese.parent], loaded=lambda: None).models
    assert model.languages == ("ja",)
    assert model.capabilities.names == [
        *("takes_hotwords", "takes_beam_size", "continues_prefix", "scores_tokens"),
    ]


def test_the_decoder_continues_a_prefix(directory: Path) -> None:
    engine = load(directory)
    [heard] = engine.decode([Job(SOUND, prefix="Turn on")])
    assert heard.text == TEXT
    # It cannot retract a text that was sent, even if it would write another one.
    [other] = engine.decode([Job(SOUND, prefix="Turn xx")])
    assert other.text.startswith("Turn xx")


def test_tokens_have_their_bytes_and_log_probabilities(directory: Path) -> None:
    [heard] = load(directory).decode([Job(SOUND, DecodeOptions(token_logprobs=True))])
    assert b"".join(token.bytes for token in heard.token_logprobs).decode() == f" {TEXT}"
    assert all(-0.1 < token.logprob <= 0 for token in heard.token_logprobs)


def test_after_an_unload_it_is_loaded_again(directory: Path) -> None:
    engine = load(directory)
    engine.unload()
    engine.load()
    assert engine.decode([Job(SOUND)])[0].text == TEXT


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("encoder_model.onnx", "encoder_model.onnx is missing"),
        ("decoder_model_merged.onnx", "decoder_model_merged.onnx is missing"),
        ("tokenizer.bin", "tokenizer.bin or tokenizer.json is missing"),
    ],
)
def test_a_folder_without_a_file_is_refused_with_its_name(
    directory: Path, file: str, reason: str
) -> None:
    (directory / file).unlink()
    with pytest.raises(ModelError, match=f"my-moonshine contains no Moonshine model: {reason}"):
        load(directory)


def test_a_folder_with_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    directory = put_ctc(tmp_path / "moonshine")
    with pytest.raises(ModelError, match=r"contains no Moonshine model: encoder_model\.onnx is"):
        load(directory)


def test_a_graph_with_other_inputs_is_refused(directory: Path) -> None:
    put_ctc(directory)
    (directory / "model.onnx").replace(directory / "encoder_model.onnx")
    with pytest.raises(
        ModelError,
        match=r"encoder_model\.onnx is not a Moonshine encoder: it has no input 'input_values', "
        r"only audio_signal, length$",
    ):
        load(directory)


def test_a_decoder_without_a_cache_is_refused(directory: Path) -> None:
    shutil.copy(directory / "encoder_model.onnx", directory / "decoder_model_merged.onnx")
    with pytest.raises(ModelError, match=r"merged\.onnx is not a Moonshine decoder with a key-"):
        load(directory)


def test_an_encoder_and_a_decoder_of_different_models_are_refused(directory: Path) -> None:
    other = put_moonshine(directory.parent / "other", width=12)
    (other / "decoder_model_merged.onnx").replace(directory / "decoder_model_merged.onnx")
    with pytest.raises(
        ModelError,
        match=r"decoder_model_merged\.onnx and encoder_model\.onnx are of different models: the "
        r"decoder takes encodings of width 12, the encoder writes 8",
    ):
        load(directory)


def test_a_tokenizer_of_another_vocabulary_is_refused(directory: Path) -> None:
    put_tokenizer(directory, filler=9000)
    with pytest.raises(
        ModelError, match=r"tokenizer\.bin is the tokenizer of another model: it has \d+ tokens, "
    ):
        load(directory)


def test_a_damaged_graph_is_refused(directory: Path) -> None:
    (directory / "encoder_model.onnx").write_bytes(b"\x08\x09" * 100)
    with pytest.raises(
        ModelError, match=r"encoder_model\.onnx cannot be loaded as a Moonshine e"
    ):
        load(directory)


def test_a_pointer_instead_of_a_graph_is_explained(directory: Path) -> None:
    (directory / "encoder_model.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"encoder_model\.onnx is a Git LFS pointer instead of"):
        load(directory)


def test_a_missing_execution_provider_is_one_sentence(directory: Path) -> None:
    with pytest.raises(
        ModelError, match=r"--onnx-provider coreml needs CoreMLExecutionProvider,"
    ):
        load(directory, onnx_provider="coreml")


def test_outputs_that_are_not_numbers_fail_on_that_audio(directory: Path) -> None:
    put_moonshine(directory, broken=True)
    with pytest.raises(
        EngineError,
        match=r"the model failed on this audio: decoder_model_merged\.onnx computed values that",
    ):
        load(directory).decode([Job(SOUND)])
    engine = load(put_moonshine(directory))
    with pytest.raises(
        EngineError, match=r"encoder_model\.onnx computed values that are not num"
    ):
        engine.decode([Job(np.full(16_000, np.nan, np.float32))])
    assert engine.decode([Job(SOUND)])[0].text == TEXT


@pytest.mark.parametrize("name", ["moonshine-huge", "moonshine-base-de"])
def test_an_unknown_name_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"model '{name}' is unknown; .* moonshine-base-en, "):
        choose_recognizer(Settings(model=(name,)), [tmp_path], loaded=lambda: None)
