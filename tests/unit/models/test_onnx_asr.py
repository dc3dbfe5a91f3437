"""Names, families and languages of onnx-asr's models."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models.onnx_asr import (
    NAMES,
    Decoding,
    OnnxAsrFiles,
    choose_onnx_asr,
    locate_onnx_asr,
)


def put(folder: Path, *files: str, config: str = "") -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"x")
    if config:
        (folder / "config.json").write_text(config)
    return folder


@pytest.mark.parametrize(
    ("name", "repository", "family", "languages"),
    [
        ("nemo-parakeet-tdt-0.6b-v2", "istupakov/parakeet-tdt-0.6b-v2-onnx", "tdt", ("en",)),
        ("NeMo-Parakeet-CTC-0.6b", "istupakov/parakeet-ctc-0.6b-onnx", "ctc", ("en",)),
        ("gigaam-v3-e2e-rnnt", "istupakov/gigaam-v3-onnx", "gigaam-v3-e2e-rnnt", ("ru",)),
        ("alphacep/vosk-model-ru", "alphacep/vosk-model-ru", "vosk", ("ru",)),
        ("t-tech/t-one", "t-tech/T-one", "t-one-ctc", ("ru",)),
        ("istupakov/parakeet-ctc-0.6b-onnx", "istupakov/parakeet-ctc-0.6b-onnx", "ctc", ("en",)),
        ("onnx-community/whisper-tiny.en", "onnx-community/whisper-tiny.en", "whisper", ("en",)),
    ],
)
def test_names_are_those_of_onnx_asr(
    tmp_path: Path, name: str, repository: str, family: str, languages: tuple[str, ...]
) -> None:
    chosen = choose_onnx_asr(name, [tmp_path])
    assert chosen is not None
    assert (chosen.model.repository, chosen.model.languages) == (repository, languages)
    assert chosen.family.type.endswith(family)


def test_every_name_of_the_library_is_known() -> None:
    onnx_asr = pytest.importorskip("onnx_asr.loader")
    assert set(NAMES) == set(onnx_asr.AsrNames.__args__)


def test_files_are_those_that_the_library_looks_for(tmp_path: Path) -> None:
    onnx_asr = pytest.importorskip("onnx_asr.loader")
    for name in NAMES:
        chosen = choose_onnx_asr(name, [tmp_path])
        assert chosen is not None
        family = chosen.family
        kind = onnx_asr.create_asr_resolver(name, tmp_path, offline=True).model_type
        for quantisation, form in ((None, ""), ("int8", "?int8")):
            wanted = set(kind._get_model_files(quantisation).values())
            ours = {*(graph.format(q=form) for graph in family.graphs), *family.others}
            assert ours - {"config.json"} == wanted, name


@pytest.mark.parametrize("name", ["base", "moonshine-base-en", "Systran/faster-whisper-base"])
def test_names_of_other_models_are_not_resolved(tmp_path: Path, name: str) -> None:
    assert choose_onnx_asr(name, [tmp_path]) is None


@pytest.mark.parametrize(
    ("called", "files", "config", "family", "languages"),
    [
        ("mine", ("model.onnx", "vocab.txt"), "", "nemo-conformer-ctc", ("en",)),
        (
            "parakeet-tdt-0.6b-v3",
            ("encoder-model.int8.onnx", "decoder_joint-model.int8.onnx", "vocab.txt"),
            "",
            "nemo-conformer-tdt",
            None,
        ),
        (
            "my-rnnt",
            ("encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt"),
            '{"model_type": "nemo-conformer-rnnt"}',
            "nemo-conformer-rnnt",
            ("en",),
        ),
        ("t-one", ("model.onnx",), "{}", "t-one-ctc", ("ru",)),
        ("stt_de_fastconformer", ("model.onnx", "vocab.txt"), "", "nemo-conformer-ctc", ("de",)),
        (
            "vosk",
            ("am/encoder.onnx", "am/decoder.onnx", "am/joiner.onnx", "lang/tokens.txt"),
            "",
            "kaldi-rnnt",
            ("ru",),
        ),
    ],
)
def test_a_folder_is_recognised_by_its_config_or_its_files(
    tmp_path: Path,
    called: str,
    files: tuple[str, ...],
    config: str,
    family: str,
    languages: tuple[str, ...] | None,
) -> None:
    folder = put(tmp_path / called, *files, config=config)
    chosen = choose_onnx_asr(str(folder), [tmp_path])
    assert chosen is not None
    if called == "vosk":  # both names of the family have the same files and the same class
        assert chosen.family.decoding is Decoding.TRANSDUCER
    else:
        assert chosen.family.type == family
    if languages is None:
        assert len(chosen.model.languages) == 25
    else:
        assert chosen.model.languages == languages


def test_a_folder_without_a_model_is_not_a_model(tmp_path: Path) -> None:
    put(tmp_path / "ct2", "model.bin", "config.json")
    assert choose_onnx_asr(str(tmp_path / "ct2"), [tmp_path]) is None


def test_quantised_files_are_used_where_they_are_the_only_ones(tmp_path: Path) -> None:
    folder = put(tmp_path / "mine", "model.int8.onnx", "vocab.txt")
    chosen = choose_onnx_asr(str(folder), [])
    assert chosen is not None
    for gpu in (False, True):
        files = locate_onnx_asr(chosen, tmp_path, quantisation="auto", gpu=gpu)
        assert files == OnnxAsrFiles(folder, "int8")


@pytest.mark.parametrize(("gpu", "quantisation"), [(False, "int8"), (True, None)])
def test_of_both_forms_the_device_decides(
    tmp_path: Path, gpu: bool, quantisation: str | None
) -> None:
    folder = put(tmp_path / "mine", "model.int8.onnx", "model.onnx", "vocab.txt")
    chosen = choose_onnx_asr(str(folder), [])
    assert chosen is not None
    files = locate_onnx_asr(chosen, tmp_path, quantisation="auto", gpu=gpu)
    assert files.quantisation == quantisation


def test_a_form_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path / "mine", "model.onnx", "vocab.txt")
    chosen = choose_onnx_asr(str(folder), [])
    assert chosen is not None
    with pytest.raises(
        ModelError, match=r"is not a nemo-conformer-ctc: model\.fp16\.onnx is miss"
    ):
        locate_onnx_asr(chosen, tmp_path, quantisation="fp16", gpu=False)


def test_without_a_copy_and_without_the_hub_the_option_is_named(tmp_path: Path) -> None:
    chosen = choose_onnx_asr("nemo-parakeet-tdt-0.6b-v3", [tmp_path])
    assert chosen is not None
    with pytest.raises(ModelError, match="--local-files-only forbids downloading it"):
        locate_onnx_asr(chosen, tmp_path, quantisation="auto", gpu=False, local_files_only=True)
