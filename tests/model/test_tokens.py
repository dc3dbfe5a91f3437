"""A tokenizer writes every word as the model was trained on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wyoming_faster_whisper.engine.tokens import load_tokenizer
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import choose, locate

pytestmark = pytest.mark.model


def without_the_first_merge(folder: Path, *, pairs: bool) -> tuple[Path, Path]:
    """A whole tokenizer, and one that lacks what Systran's base lacks."""
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
def test_a_merge_that_is_missing_is_put_back(tmp_path: Path, pairs: bool) -> None:
    whole, damaged = without_the_first_merge(tmp_path, pairs=pairs)
    text = " Turn the lamp to ten."
    right, mended = (
        load_tokenizer(directory, multilingual=False).encode(text).ids
        for directory in (whole, damaged)
    )
    assert mended == right


def test_no_tokenizer_at_all_is_said(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load_tokenizer(tmp_path, multilingual=False)
