"""Resolution of a model name to its files. No network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import (
    Model,
    choose,
    choose_auto,
    data_folders,
    locate,
)
from wyoming_faster_whisper.models.auto import Machine
from wyoming_faster_whisper.models.folders import refreshed
from wyoming_faster_whisper.models.languages import MULTILINGUAL

from .made import BASE, put_in_cache, put_model


def test_a_directory_is_a_model(tmp_path: Path) -> None:
    directory = put_model(tmp_path / "mine")
    assert choose(str(directory), []) == Model("mine", MULTILINGUAL, directory=directory)
    assert locate(choose(str(directory), []), tmp_path / "unused") == directory


@pytest.mark.parametrize("missing", ["model.bin", "config.json"])
def test_a_directory_without_a_model_is_refused(tmp_path: Path, missing: str) -> None:
    directory = put_model(tmp_path / "mine")
    (directory / missing).unlink()
    with pytest.raises(ModelError) as caught:
        choose(str(directory), [])
    assert str(caught.value) == (
        f"{directory} contains no model: model.bin or config.json is missing"
    )


def test_the_path_of_model_bin_means_its_directory(tmp_path: Path) -> None:
    directory = put_model(tmp_path / "mine")
    assert choose(str(directory / "model.bin"), []) == choose(str(directory), [])


def test_the_path_of_another_file_is_refused(tmp_path: Path) -> None:
    file = put_model(tmp_path / "mine") / "config.json"
    with pytest.raises(ModelError, match=rf"{file} is a file; give the directory"):
        choose(str(file), [])


@pytest.mark.parametrize("name", ["/nowhere/tiny", "./nowhere", "../nowhere", "~/nowhere/at/all"])
def test_a_path_that_does_not_exist_is_reported_as_one(name: str) -> None:
    with pytest.raises(ModelError, match=r"directory .*nowhere.* does not exist"):
        choose(name, [])


def test_an_unreadable_directory_is_not_a_crash(tmp_path: Path) -> None:
    too_long = "a" * 300  # too long for a file system; fails like a folder that we may not read
    with pytest.raises(ModelError, match=r"model .* is unknown"):
        choose(too_long, [])
    assert choose("base", [tmp_path / too_long]).directory is None


@pytest.mark.parametrize("name", ["base", "base.int8", "tiny"])
def test_a_folder_named_like_a_model_but_without_one_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert choose(name, []) == choose(name, [Path("elsewhere")])
    assert choose(name, []).directory is None
    with pytest.raises(ModelError, match="contains no model"):
        choose(f"./{name}", [])


def test_auto_searches_only_the_data_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "tiny").mkdir(parents=True)
    put_model(tmp_path / "work" / "base-int8")
    put_model(tmp_path / "data" / "tiny")
    monkeypatch.chdir(tmp_path / "work")
    model = choose_auto([tmp_path / "data"], Machine(memory=4000))
    assert model.directory == tmp_path / "data" / "tiny"


def test_a_model_in_the_cache_of_the_reference_server_is_used(tmp_path: Path) -> None:
    snapshot = put_in_cache(tmp_path, "rhasspy/faster-whisper-base-int8")
    model = choose("base.int8", [tmp_path / "empty", tmp_path])
    assert model.directory == snapshot
    assert locate(model, tmp_path / "unused") == snapshot


def test_the_main_revision_is_preferred(tmp_path: Path) -> None:
    put_in_cache(tmp_path, BASE, "aaa", main="bbb")
    main = put_in_cache(tmp_path, BASE, "bbb", main="bbb")
    assert choose("base", [tmp_path]).directory == main


def test_a_reference_of_the_cache_that_is_not_text_is_ignored(tmp_path: Path) -> None:
    snapshot = put_in_cache(tmp_path, BASE, "aaa")
    (snapshot.parent.parent / "refs" / "main").write_bytes(b"\xff\xfe")
    assert choose("base", [tmp_path]).directory == snapshot


@pytest.mark.parametrize("missing", ["model.bin", "vocabulary.txt"])
def test_an_incomplete_download_is_skipped(tmp_path: Path, missing: str) -> None:
    whole = put_in_cache(tmp_path, BASE, "aaa")
    cut_off = put_in_cache(tmp_path, BASE, "bbb", main="bbb")
    (cut_off / missing).unlink()
    assert choose("base", [tmp_path]).directory == whole


@pytest.mark.parametrize("name", ["base", "faster-whisper-base"])
def test_a_model_folder_may_have_the_short_or_the_full_name(tmp_path: Path, name: str) -> None:
    directory = put_model(tmp_path / name)
    assert choose("base", [tmp_path]).directory == directory


def test_the_first_folder_wins(tmp_path: Path) -> None:
    first = put_model(tmp_path / "a" / "base")
    put_model(tmp_path / "b" / "base")
    assert choose("base", [tmp_path / "a", tmp_path / "b"]).directory == first


def test_a_data_folder_that_is_a_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert choose("base", [tmp_path / "file"]).directory is None


def test_the_download_folder_comes_first() -> None:
    assert list(data_folders(["/a", "/b"], "/c")) == [Path("/c"), Path("/a"), Path("/b")]
    assert list(data_folders(["/a", "/b"], "/b")) == [Path("/b"), Path("/a")]
    assert list(data_folders(["/a"], None)) == [Path("/a")]
    assert list(data_folders(["~/x"], None)) == [Path.home() / "x"]


def test_local_files_only_forbids_downloads(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        locate(choose("small", [tmp_path]), tmp_path, local_files_only=True)
    assert str(caught.value) == (
        "model 'small' is neither in the data folders nor in an installed package, and "
        "--local-files-only forbids downloading it"
    )


def test_a_newer_snapshot_of_the_hub_counts_once_it_is_complete(tmp_path: Path) -> None:
    old = put_in_cache(tmp_path, BASE, "zzz", main="zzz")
    model = choose("base", [tmp_path])
    (old.parent.parent / "refs" / "main").write_text("aaa")
    new = old.with_name("aaa")
    new.mkdir()
    for name in ("config.json", "vocabulary.txt"):
        (new / name).write_text("{}")
    assert refreshed(model, [tmp_path]).directory == old
    (new / "model.bin").write_bytes(b"weights")
    assert refreshed(model, [tmp_path]).directory == new


def test_without_main_the_newest_snapshot_is_the_model(tmp_path: Path) -> None:
    for revision, time in (("1", 1000), ("3", 3000), ("2", 2000)):
        os.utime(put_in_cache(tmp_path, BASE, revision, main="gone"), (time, time))
    directory = choose("base", [tmp_path]).directory
    assert directory is not None
    assert directory.name == "3"


def test_a_model_that_was_downloaded_meanwhile_is_found(tmp_path: Path) -> None:
    model = choose("base", [tmp_path])
    assert model.directory is None
    directory = put_in_cache(tmp_path, BASE)
    assert refreshed(model, [tmp_path]).directory == directory


def test_a_snapshot_that_the_operator_names_stays(tmp_path: Path) -> None:
    old = put_in_cache(tmp_path, BASE, "1", main="1")
    model = choose(str(old), [tmp_path])
    put_in_cache(tmp_path, BASE, "2", main="2")
    assert refreshed(model, [tmp_path]) == model
