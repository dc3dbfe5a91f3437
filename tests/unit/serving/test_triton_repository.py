"""Model repositories for Triton."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.serving.triton_repository import config, export, version_policy


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of the hub's cache, whose files are links into another folder."""
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json"):
        (blobs / name).write_text(name)
        (folder / name).symlink_to(blobs / name)
    (folder / "extra").mkdir()
    return folder


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("latest", "version_policy: { latest { num_versions: 1 } }"),
        ("latest:2", "version_policy: { latest { num_versions: 2 } }"),
        ("all", "version_policy: { all {} }"),
        ("specific:1,3", "version_policy: { specific { versions: [ 1, 3 ] } }"),
    ],
)
def test_a_policy_is_written_as_triton_reads_it(text: str, line: str) -> None:
    assert version_policy(text) == line


@pytest.mark.parametrize("text", ["", "newest", "latest:0", "specific:", "specific:a", "all:1"])
def test_an_unknown_policy_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--policy"):
        version_policy(text)


def test_the_configuration_has_the_tensors_of_the_contract() -> None:
    text = config("base", version_policy("latest"), max_batch=8, max_waiting=64)
    assert 'input [ { name: "AUDIO" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged' in text
    assert 'input [ { name: "OPTIONS" data_type: TYPE_STRING dims: [ 1 ] optional: true' in text
    for output, kind in (("TEXT", "STRING"), ("AVG_LOGPROB", "FP32"), ("DETAILS", "STRING")):
        assert f'output [ {{ name: "{output}" data_type: TYPE_{kind} dims: [ 1 ] }} ]' in text
    assert "max_batch_size: 8" in text
    assert "max_queue_size: 64" in text


def test_a_version_has_its_code_its_flags_and_links_to_the_weights(
    tmp_path: Path, weights: Path
) -> None:
    model = tmp_path / "repository" / "base"
    made = export(
        model, 2, weights, called="base-int8", flags=["--device=cuda"], config="max_batch_size: 8"
    )
    assert made == model / "2"
    assert json.loads((made / "options.json").read_text()) == {
        "model": "base-int8",
        "flags": ["--device=cuda"],
    }
    assert "TritonPythonModel" in (made / "model.py").read_text()
    assert (model / "config.pbtxt").read_text() == "max_batch_size: 8"
    files = {path.name: path for path in (made / "base-int8").iterdir()}
    assert files.keys() == {"model.bin", "config.json"}
    assert files["model.bin"].samefile(weights / "model.bin")
    assert not files["model.bin"].is_symlink()  # a hard link outlives the hub's cache
    assert {path.name for path in model.iterdir()} == {"2", "config.pbtxt"}


def test_weights_on_another_file_system_are_copied(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    made = export(tmp_path / "base", 1, weights, called="base", flags=[], config=None)
    copy = made / "base" / "model.bin"
    assert not copy.is_symlink()
    assert copy.read_text() == "model.bin"


def test_a_version_is_never_changed(tmp_path: Path, weights: Path) -> None:
    model = tmp_path / "base"
    export(model, 1, weights, called="base", flags=[], config="first")
    with pytest.raises(SettingError, match="1 exists"):
        export(model, 1, weights, called="base", flags=[], config="second")
    assert (model / "config.pbtxt").read_text() == "first"


def test_a_further_version_keeps_the_configuration(tmp_path: Path, weights: Path) -> None:
    model = tmp_path / "base"
    export(model, 1, weights, called="base", flags=[], config="edited by hand")
    export(model, 2, weights, called="base", flags=[], config=None)
    assert (model / "config.pbtxt").read_text() == "edited by hand"


def test_an_export_that_was_interrupted_can_be_repeated(tmp_path: Path, weights: Path) -> None:
    model = tmp_path / "base"
    (model / ".1.part" / "base").mkdir(parents=True)
    (model / ".1.part" / "base" / "model.bin").write_text("half")
    made = export(model, 1, weights, called="base", flags=[], config="x")
    assert (made / "base" / "model.bin").read_text() == "model.bin"


def test_an_export_that_fails_leaves_no_copy_of_the_weights(
    tmp_path: Path, weights: Path
) -> None:
    model = tmp_path / "base"
    (model / "config.pbtxt").mkdir(parents=True)  # it cannot be replaced by a file
    with pytest.raises(SettingError, match="cannot be written"):
        export(model, 1, weights, called="base", flags=[], config="x")
    assert not (model / ".1.part").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="cannot be written"):
        export(tmp_path / "file" / "base", 1, weights, called="base", flags=[], config="x")
