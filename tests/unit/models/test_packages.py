"""Models in installed packages: verified, parts joined, packages never imported."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from pathlib import Path

import pytest

from tests.support.disk import largest_file
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import (
    choose,
    locate,
)

from .made import BASE, CONTENT, install, put_in_cache, put_model


def test_parts_are_joined_into_the_download_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    with caplog.at_level(logging.INFO):
        directory = locate(choose("base", [data]), data, local_files_only=True)
    assert directory == data / "faster-whisper-base"
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == CONTENT
    assert list(data.iterdir()) == [directory]
    assert f"Using {BASE} from an installed package" in caplog.text


def test_files_left_half_joined_by_a_stopped_server_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    leftover = data / ".joining-abc"
    leftover.mkdir(parents=True)
    (leftover / "model.bin").write_bytes(b"half")
    directory = locate(choose("base", []), data)
    assert list(data.iterdir()) == [directory]


def test_files_that_another_server_is_joining_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    (data / ".joining-abc").mkdir(parents=True)
    lock = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = locate(choose("base", []), data)
    finally:
        os.close(lock)
    assert {*data.iterdir()} == {directory, data / ".joining-abc"}


def test_parts_are_joined_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    model = choose("base", [])
    directory = locate(model, data)
    written = (directory / "model.bin").stat().st_mtime_ns
    assert locate(model, data) == directory
    assert (directory / "model.bin").stat().st_mtime_ns == written
    assert choose("base", [data]).directory == directory


def test_base_int8_comes_from_the_same_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    directory = locate(choose("base-int8", []), tmp_path / "data")
    assert directory == tmp_path / "data" / "faster-whisper-base"


def test_a_model_in_one_file_is_used_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install(tmp_path, monkeypatch, whole=True)
    assert locate(choose("base", []), tmp_path / "data") == site / "one"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_package_is_refused_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    install(tmp_path, monkeypatch, damaged=True, whole=whole)
    data = tmp_path / "data"
    expected = hashlib.sha256(CONTENT["model.bin"]).hexdigest()
    for _ in range(2):
        with pytest.raises(ModelError, match=f"model.bin.* is damaged .* expected {expected}"):
            locate(choose("base", [data]), data)
    assert not list(data.glob("*")) + list(data.glob(".*"))


@pytest.mark.parametrize("name", ["base", "base-int8"])
@pytest.mark.parametrize("damaged", [*CONTENT])
def test_a_joined_file_that_was_damaged_is_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damaged: str,
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    directory = locate(choose(name, []), data)
    (directory / "note.txt").write_text("the operator's")
    (directory / damaged).write_bytes(CONTENT[damaged][:-1] + b"?")
    assert locate(choose(name, [data]), data) == directory
    assert (directory / damaged).read_bytes() == CONTENT[damaged]
    assert (directory / "note.txt").exists()
    assert list(data.iterdir()) == [directory]
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage() == (
        f"{directory / damaged} is damaged; using the copy in the installed package instead"
    )


@pytest.mark.parametrize("missing", [*CONTENT])
def test_a_joined_file_that_was_removed_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    directory = locate(choose("base", []), data)
    (directory / missing).unlink()
    assert locate(choose("base", [data]), data) == directory
    assert {file.name: file.read_bytes() for file in directory.iterdir()} == CONTENT


@pytest.mark.parametrize("whole", [True, False])
def test_an_unusable_copy_in_the_cache_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, whole: bool
) -> None:
    site = install(tmp_path, monkeypatch, whole=whole)
    data = tmp_path / "data"
    cached = put_in_cache(data, BASE)
    (cached / "model.bin").write_bytes(b"")
    for _ in range(2):
        directory = locate(choose("base", [data]), data)
        assert directory == (site / "one" if whole else data / "faster-whisper-base")
    assert f"{cached / 'model.bin'} is empty" in caplog.text


@pytest.mark.parametrize("place", ["faster-whisper-base", "base"])
def test_a_model_that_the_operator_put_there_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    install(tmp_path, monkeypatch)
    directory = put_model(tmp_path / "data" / place)
    for name in CONTENT:
        (directory / name).write_bytes(b"another")
    assert locate(choose("base", [tmp_path / "data"]), tmp_path / "data") == directory
    assert (directory / "model.bin").read_bytes() == b"another"


def test_a_model_with_a_missing_package_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install(tmp_path, monkeypatch)
    (site / "two" / "model.bin.part2").unlink()
    with pytest.raises(ModelError, match="nor in an installed package"):
        locate(choose("base", []), tmp_path / "data", local_files_only=True)


def test_a_full_disk_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    with largest_file(10), pytest.raises(ModelError) as caught:
        locate(choose("base", []), data)
    assert str(caught.value) == (
        f"cannot write the model to {data / 'faster-whisper-base'}: File too large; "
        "make room there, or choose another folder with --download-dir"
    )
    assert list(data.iterdir()) == []
    assert locate(choose("base", []), data) == data / "faster-whisper-base"


def test_an_unwritable_download_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "data"
    with pytest.raises(ModelError) as caught:
        locate(choose("base", []), below)
    assert str(caught.value) == (
        f"cannot write the model to {below / 'faster-whisper-base'}: Not a directory; "
        "let the server write there, or choose another folder with --download-dir"
    )
