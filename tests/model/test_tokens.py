"""Tokenizer files: repaired, located and checked against the vocabulary of the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from wyoming_faster_whisper.engine.whisper.tokens import load_tokenizer
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import choose, locate, locate_tokenizer

pytestmark = pytest.mark.model


def without_the_first_merge(folder: Path, *, pairs: bool) -> tuple[Path, Path]:
    """Return folders of a complete tokenizer and of one that lacks the first merge."""
    whole = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
    content = json.loads((whole / "tokenizer.json").read_text(encoding="utf-8"))
    merges = content["model"]["merges"]
    apart = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    assert apart[0] == ["Ġ", "t"]
    content["model"]["merges"] = [merge if pairs else " ".join(merge) for merge in apart[1:]]
    damaged = folder / "damaged"
    damaged.mkdir()
    (damaged / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    return whole, damaged


@pytest.mark.parametrize("pairs", [False, True], ids=["lines", "pairs"])
def test_a_missing_merge_is_restored(tmp_path: Path, pairs: bool) -> None:
    whole, damaged = without_the_first_merge(tmp_path, pairs=pairs)
    text = " Turn the lamp to ten."
    right, mended = (
        load_tokenizer(directory / "tokenizer.json").encode(text).ids
        for directory in (whole, damaged)
    )
    assert mended == right


def test_a_damaged_tokenizer_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load_tokenizer(tmp_path / "tokenizer.json")


def without_tokenizer(folder: Path, name: str, *, as_json: bool = False) -> tuple[Path, Path]:
    """Create a model folder without a tokenizer; return it and the tokenizer of the model."""
    whole = locate(choose(name, [folder]), folder, local_files_only=True)
    bare = folder / "bare"
    bare.mkdir()
    text = (whole / "vocabulary.txt").read_text(encoding="utf-8")
    if as_json:
        tokens = text.removesuffix("\n").split("\n")
        (bare / "vocabulary.json").write_text(json.dumps(tokens))
    else:
        (bare / "vocabulary.txt").write_text(text, encoding="utf-8")
    return bare, whole / "tokenizer.json"


@pytest.mark.parametrize("as_json", [False, True], ids=["txt", "json"])
@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_a_missing_tokenizer_is_taken_from_a_package(
    tmp_path: Path, name: str, as_json: bool
) -> None:
    bare, own = without_tokenizer(tmp_path, name, as_json=as_json)
    found = locate_tokenizer(bare, tmp_path / "data", local_files_only=True)
    assert found.read_bytes() == own.read_bytes()


def test_offline_a_tokenizer_of_another_vocabulary_is_not_found(tmp_path: Path) -> None:
    bare, _ = without_tokenizer(tmp_path, "base")
    text = (bare / "vocabulary.txt").read_text(encoding="utf-8")
    (bare / "vocabulary.txt").write_text(
        text.replace("<|translate|>", "<|yue|>\n<|translate|>"), encoding="utf-8"
    )
    with pytest.raises(ModelError) as caught:
        locate_tokenizer(bare, tmp_path / "data", local_files_only=True)
    assert str(caught.value) == (
        f"{bare / 'tokenizer.json'} is missing, no installed package contains one for this "
        "vocabulary, and --local-files-only forbids downloading it; put the file there"
    )


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path, name: str) -> None:
    bare, _ = without_tokenizer(tmp_path, name)
    other = locate(choose({"tiny.en": "base", "base": "tiny.en"}[name], [tmp_path]), tmp_path)
    shutil.copy(other / "tokenizer.json", bare)
    with pytest.raises(ModelError, match=r"bare/tokenizer\.json belongs to another model: "):
        locate_tokenizer(bare, tmp_path)


@pytest.mark.parametrize("content", ["", "<html>", "{", "[]", '{"model": {"vocab": {}}}'])
def test_an_unusable_tokenizer_file_is_refused(tmp_path: Path, content: str) -> None:
    bare, _ = without_tokenizer(tmp_path, "tiny.en")
    (bare / "tokenizer.json").write_text(content)
    with pytest.raises(
        ModelError, match=r"bare/tokenizer\.json .*; replace it with the tokenizer\.json of"
    ):
        locate_tokenizer(bare, tmp_path)


@pytest.mark.parametrize("tokens", [1_000, 50_300, 50_362])
def test_a_vocabulary_that_was_cut_off_is_reported(tmp_path: Path, tokens: int) -> None:
    bare, own = without_tokenizer(tmp_path, "tiny.en")
    shutil.copy(own, bare)
    lines = (bare / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    (bare / "vocabulary.txt").write_text("\n".join(lines[:tokens]), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        locate_tokenizer(bare, tmp_path)
    assert str(caught.value) == (
        f"{bare / 'vocabulary.txt'} is damaged (<|notimestamps|> is missing); "
        "copy or download it again"
    )


def test_a_model_without_a_vocabulary_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it has no vocabulary\.json or vocabulary\.txt"):
        locate_tokenizer(tmp_path, tmp_path)
