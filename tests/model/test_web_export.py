"""The files for the page without the server, written of the real tiny.en."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from wyoming_faster_whisper.app import web_export
from wyoming_faster_whisper.commands.export_web import main
from wyoming_faster_whisper.errors import ServerError

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        web_export.runtime_folder() is None,
        reason="onnxruntime-web is not here; script/onnxruntime-web fetches it",
    ),
]


def export(folder: Path, data: Path, model: str = "tiny.en") -> int:
    options = ["--model", model, "--data-dir", str(data), "--local-files-only"]
    # Not by serve(), which ends the process if threads of other tests are still there.
    return main([str(folder), *options], {})


def test_export_web_writes_everything_that_the_manifest_names(tmp_path: Path) -> None:
    folder = tmp_path / "here" / "web"
    assert export(folder, tmp_path) == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {file["name"]: file for file in manifest["files"]}
    for name, file in files.items():
        data = (folder / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert len(data) == file["bytes"]
    for_cpu = sum(file["bytes"] for file in files.values() if "cpu" in file["for"])
    assert 50e6 < for_cpu < 60e6
    assert manifest["tokens"]["end"] == 50256
    assert np.fromfile(folder / "mel.bin", "<f4").size == 80 * 201
    tokens, spelled = (folder / "vocabulary.bin").read_bytes(), []
    while tokens:
        spelled.append(tokens[1 : 1 + tokens[0]])
        tokens = tokens[1 + tokens[0] :]
    assert len(spelled) == 50256
    assert b" the" in spelled
    written = (folder / "manifest.json").stat().st_mtime_ns
    assert export(folder, tmp_path) == 0
    assert (folder / "manifest.json").stat().st_mtime_ns == written, "it was current"
    (folder / "encoder.weights").write_bytes(b"")
    assert export(folder, tmp_path) == 0
    assert (folder / "encoder.weights").stat().st_size == files["encoder.weights"]["bytes"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "home" / "diary.txt"
    mine.parent.mkdir()
    mine.write_text("dear diary")
    with pytest.raises(ServerError, match=r"has other files \(diary.txt\)"):
        export(mine.parent, tmp_path)
    assert mine.read_text() == "dear diary"


def test_an_unknown_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no-such-model"):
        export(tmp_path / "web", tmp_path, "no-such-model")
    assert not (tmp_path / "web").exists()
