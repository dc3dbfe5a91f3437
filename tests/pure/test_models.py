"""What a model's name means, and where its files are found. No network."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import json
import logging
import os
import time
from pathlib import Path

import pytest

from wyoming_faster_whisper.auto import Figure, Machine
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.languages import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3
from wyoming_faster_whisper.models import (
    PACKAGED,
    REPOSITORIES,
    Figures,
    Model,
    PackagedFile,
    SttLibrary,
    choose,
    choose_auto,
    data_folders,
    guess_stt_library,
    locate,
)

BASE = "Systran/faster-whisper-base"
TINY_EN = "Systran/faster-whisper-tiny.en"
CONTENT = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"words",
}


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model packages, installed or not, but those that a test installs itself."""
    for repository in list(PACKAGED):
        monkeypatch.delitem(PACKAGED, repository)


def put_model(directory: Path, languages: int | None = None) -> Path:
    """Make a directory look like a model; languages = how many it says that it knows."""
    directory.mkdir(parents=True)
    for name, data in CONTENT.items():
        (directory / name).write_bytes(data)
    if languages is not None:
        (directory / "config.json").write_text(json.dumps({"lang_ids": [0] * languages}))
    return directory


def put_in_cache(folder: Path, repository: str, revision: str = "abc", main: str = "abc") -> Path:
    """Put a model into the hub's cache as the reference server leaves it."""
    cache = folder / ("models--" + repository.replace("/", "--"))
    (cache / "refs").mkdir(parents=True, exist_ok=True)
    (cache / "refs" / "main").write_text(main)
    return put_model(cache / "snapshots" / revision)


# Names.


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("tiny-int8", "rhasspy/faster-whisper-tiny-int8"),
        ("base.int8", "rhasspy/faster-whisper-base-int8"),
        ("small-int8", "rhasspy/faster-whisper-small-int8"),
        ("medium.int8", "rhasspy/faster-whisper-medium-int8"),
        ("base", BASE),
        ("tiny.en", TINY_EN),
        ("large", "Systran/faster-whisper-large-v3"),
        ("turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        ("distil-small.en", "Systran/faster-distil-whisper-small.en"),
        ("owner/some.model-2", "owner/some.model-2"),
    ],
)
def test_a_name_means_a_repository(name: str, repository: str) -> None:
    model = choose(name, [])
    assert model.repository == repository
    assert model.directory is None


def test_every_model_of_the_add_on_has_a_name() -> None:
    names = (
        "tiny-int8 tiny tiny.en base-int8 base base.en small-int8 distil-small.en small small.en "
        "distil-medium.en medium-int8 medium medium.en large large-v1 distil-large-v2 large-v2 "
        "distil-large-v3 large-v3 turbo"
    )
    assert set(names.split()) <= set(REPOSITORIES)


@pytest.mark.parametrize(
    "name", ["huge", "a/b/c", "../x", "./x", "owner/", "büro/modell", "a b/c"]
)
def test_a_name_that_means_nothing(name: str) -> None:
    with pytest.raises(ModelError, match=r"there is no model .*; give a directory, a hub id"):
        choose(name, [])


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("tiny.en", ENGLISH),
        ("distil-small.en", ENGLISH),
        ("distil-large-v3", ENGLISH),
        ("someone/whisper-small.en-int8", ENGLISH),
        ("base", MULTILINGUAL),
        ("base-int8", MULTILINGUAL),
        ("large-v2", MULTILINGUAL),
        ("large", MULTILINGUAL_V3),
        ("large-v3", MULTILINGUAL_V3),
        ("turbo", MULTILINGUAL_V3),
        ("someone/faster-whisper-large-v3-german", MULTILINGUAL_V3),
    ],
)
def test_a_name_says_the_languages(name: str, languages: tuple[str, ...]) -> None:
    assert choose(name, []).languages == languages
    assert choose(name, []).multilingual == (len(languages) > 1)


@pytest.mark.parametrize(
    ("count", "languages"), [(98, ENGLISH), (99, MULTILINGUAL), (100, MULTILINGUAL_V3)]
)
def test_the_files_know_the_languages_better(
    tmp_path: Path, count: int, languages: tuple[str, ...]
) -> None:
    directory = put_model(tmp_path / "my-model", count)
    assert choose(str(directory), []).languages == languages


@pytest.mark.parametrize("config", ["[]", "null", "nonsense", '{"lang_ids": 5}'])
def test_a_strange_config_falls_back_to_the_name(tmp_path: Path, config: str) -> None:
    directory = put_model(tmp_path / "my-large-v3")
    (directory / "config.json").write_text(config)
    assert choose(str(directory), []).languages == MULTILINGUAL_V3


# Folders.


def test_a_directory_is_a_model(tmp_path: Path) -> None:
    directory = put_model(tmp_path / "mine")
    assert choose(str(directory), []) == Model("mine", MULTILINGUAL, directory=directory)
    assert locate(choose(str(directory), []), tmp_path / "unused") == directory


@pytest.mark.parametrize("missing", ["model.bin", "config.json"])
def test_a_directory_without_a_model(tmp_path: Path, missing: str) -> None:
    directory = put_model(tmp_path / "mine")
    (directory / missing).unlink()
    with pytest.raises(ModelError) as caught:
        choose(str(directory), [])
    assert str(caught.value) == (
        f"{directory} holds no model: model.bin or config.json is missing"
    )


@pytest.mark.parametrize("name", ["base", "base.int8", "tiny"])
def test_a_folder_with_a_models_name_that_is_none_is_not_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert choose(name, []) == choose(name, [Path("elsewhere")])
    assert choose(name, []).directory is None
    with pytest.raises(ModelError, match="holds no model"):
        choose(f"./{name}", [])


def test_auto_looks_at_no_folder_but_the_data_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "tiny").mkdir(parents=True)
    put_model(tmp_path / "work" / "base-int8")
    put_model(tmp_path / "data" / "tiny")
    monkeypatch.chdir(tmp_path / "work")
    model = choose_auto([tmp_path / "data"], Machine(memory=4000))
    assert model.directory == tmp_path / "data" / "tiny"


def test_the_cache_of_the_reference_server_is_read_as_it_is(tmp_path: Path) -> None:
    snapshot = put_in_cache(tmp_path, "rhasspy/faster-whisper-base-int8")
    model = choose("base.int8", [tmp_path / "empty", tmp_path])
    assert model.directory == snapshot
    assert locate(model, tmp_path / "unused") == snapshot


def test_the_main_revision_goes_before_others(tmp_path: Path) -> None:
    put_in_cache(tmp_path, BASE, "aaa", main="bbb")
    main = put_in_cache(tmp_path, BASE, "bbb", main="bbb")
    assert choose("base", [tmp_path]).directory == main


def test_a_download_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    whole = put_in_cache(tmp_path, BASE, "aaa")
    cut_off = put_in_cache(tmp_path, BASE, "bbb", main="bbb")
    (cut_off / "model.bin").unlink()
    assert choose("base", [tmp_path]).directory == whole


@pytest.mark.parametrize("name", ["base", "faster-whisper-base"])
def test_a_plain_folder_is_found_by_either_name(tmp_path: Path, name: str) -> None:
    directory = put_model(tmp_path / name)
    assert choose("base", [tmp_path]).directory == directory


def test_the_first_folder_wins(tmp_path: Path) -> None:
    first = put_model(tmp_path / "a" / "base")
    put_model(tmp_path / "b" / "base")
    assert choose("base", [tmp_path / "a", tmp_path / "b"]).directory == first


def test_a_folder_that_is_a_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert choose("base", [tmp_path / "file"]).directory is None


def test_the_download_folder_comes_first() -> None:
    assert list(data_folders(["/a", "/b"], "/c")) == [Path("/c"), Path("/a"), Path("/b")]
    assert list(data_folders(["/a", "/b"], "/b")) == [Path("/b"), Path("/a")]
    assert list(data_folders(["/a"], None)) == [Path("/a")]
    assert list(data_folders(["~/x"], None)) == [Path.home() / "x"]


# Auto.


def test_auto_takes_a_model_from_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    model = choose_auto([tmp_path / "data"], Machine(memory=4000))
    assert model.name == "base-int8"
    assert locate(model, tmp_path / "data") == tmp_path / "data" / "faster-whisper-base"


def test_auto_goes_by_what_was_measured_here(tmp_path: Path) -> None:
    for size in ("tiny", "base", "small"):
        put_model(tmp_path / size)
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"
    Figures(tmp_path).write("base", Figure(0.1, 1))
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "small"
    (tmp_path / "decode-seconds.json").unlink()
    Figures(tmp_path).write("base", Figure(0.8, 1))
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "tiny"


def test_a_size_that_was_slow_once_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in ("tiny", "base"):
        put_model(tmp_path / size)
    Figures(tmp_path).write("base", Figure(0.46, 1))
    Figures(tmp_path).write("tiny", Figure(0.23, 1))
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "tiny"
    later(monkeypatch, days=8)
    Figures(tmp_path).write("tiny", Figure(0.23, 1))  # ages no other figure, and makes none young
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"
    Figures(tmp_path).write("base", Figure(0.3, 1))
    later(monkeypatch, days=30)
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"


def test_what_was_remembered_without_a_date_is_old(tmp_path: Path) -> None:
    file = tmp_path / "decode-seconds.json"
    file.write_text('{"base": {"seconds": 0.46, "threads": 1}}')
    assert Figures(tmp_path).read()["base"].outdated


def test_the_best_figure_of_a_week_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = Figures(tmp_path)
    for seconds, best in ((0.3, 0.3), (0.46, 0.3), (0.25, 0.25)):
        figures.write("base", Figure(seconds, 1))
        assert figures.read() == {"base": Figure(best, 1)}
    figures.write("base", Figure(0.27, 2))
    assert figures.read() == {"base": Figure(0.27, 2)}
    later(monkeypatch, days=8)
    figures.write("base", Figure(0.4, 2))
    assert figures.read() == {"base": Figure(0.4, 2)}


def test_each_kind_of_device_has_its_own_figures(tmp_path: Path) -> None:
    for size in ("base", "small"):
        put_model(tmp_path / size)
    Figures(tmp_path, "cuda:1").write("base", Figure(0.01, 1))
    assert Figures(tmp_path, "cuda").read() == {"base": Figure(0.01, 1)}
    assert Figures(tmp_path, "cpu").read() == Figures(tmp_path, "auto").read() == {}
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"
    assert choose_auto([tmp_path], Machine(memory=4000), device="cuda").name == "small"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_figure_that_cannot_be_is_ignored(tmp_path: Path, seconds: float) -> None:
    rows = {
        "tiny": {"seconds": seconds, "threads": 1},
        "base": {"seconds": 0.2, "threads": 1},
    }
    (tmp_path / "decode-seconds.json").write_text(json.dumps(rows))
    Figures(tmp_path).write("medium", Figure(seconds, 1))
    assert Figures(tmp_path).read() == {"base": Figure(0.2, 1)}


def test_a_date_that_cannot_be_is_ignored(tmp_path: Path) -> None:
    rows = '{"base": {"seconds": 0.2, "threads": 1, "measured": NaN}}'
    (tmp_path / "decode-seconds.json").write_text(rows)
    assert Figures(tmp_path).read() == {}


def test_what_could_not_be_remembered_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "decode-seconds.json").mkdir()  # cannot be replaced by a file
    Figures(tmp_path).write("base", Figure(0.2, 1))
    assert [file.name for file in tmp_path.iterdir()] == ["decode-seconds.json"]


def later(monkeypatch: pytest.MonkeyPatch, *, days: float) -> None:
    now = time.time() + days * 86_400
    monkeypatch.setattr("wyoming_faster_whisper.models.time.time", lambda: now)


def test_figures_that_are_damaged_are_ignored(tmp_path: Path) -> None:
    nested = "[" * 200_000
    huge = '{"base": {"seconds": 1' + "0" * 400 + ', "threads": 1}}'
    for content in ("{", "[1]", '{"base": "fast"}', nested, huge):
        (tmp_path / "decode-seconds.json").write_text(content)
        assert Figures(tmp_path).read() == {}
    Figures(tmp_path).write("base", Figure(0.25, 2))
    assert Figures(tmp_path).read() == {"base": Figure(0.25, 2)}


# Packages.


def install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    damaged: bool = False,
    whole: bool = False,
) -> Path:
    """Install packages that carry `base`, its model.bin in two parts unless whole."""
    site = tmp_path / "site"
    first, second = CONTENT["model.bin"][:11], CONTENT["model.bin"][11:]
    if damaged:
        second = second.upper()
    data = {"one": {**CONTENT, "model.bin": first + second} if whole else CONTENT, "two": {}}
    for package, files in data.items():
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('never imported')")
        information = site / f"fake_{package}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fake-{package}\nVersion: 1.0\n"
        )
        for name, content in files.items():
            (site / package / name).write_bytes(content)
    places = {name: (("fake-one", f"one/{name}"),) for name in CONTENT}
    if not whole:
        (site / "one" / "model.bin").unlink()
        (site / "one" / "model.bin.part1").write_bytes(first)
        (site / "two" / "model.bin.part2").write_bytes(second)
        parts = (("fake-one", "one/model.bin.part1"), ("fake-two", "two/model.bin.part2"))
        packaged = {**places, "model.bin": parts}
    else:
        packaged = dict(places)
    monkeypatch.setitem(
        PACKAGED,
        BASE,
        {
            name: PackagedFile(packaged[name], hashlib.sha256(CONTENT[name]).hexdigest())
            for name in CONTENT
        },
    )
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    return site


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
    assert f"{BASE} comes from an installed package" in caplog.text


def test_what_a_stopped_server_left_half_joined_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    leftover = data / ".joining-abc"
    leftover.mkdir(parents=True)
    (leftover / "model.bin").write_bytes(b"half")
    directory = locate(choose("base", []), data)
    assert list(data.iterdir()) == [directory]


def test_what_another_server_is_joining_is_left_alone(
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


def test_a_whole_model_is_used_where_it_lies(
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


def test_what_was_joined_before_and_damaged_since_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    data = tmp_path / "data"
    directory = locate(choose("base", []), data)
    (directory / "tokenizer.json").write_bytes(b"[]")
    with pytest.raises(ModelError, match=r"tokenizer\.json is damaged"):
        locate(choose("base", []), data)
    (directory / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        locate(choose("base", []), data)


def test_half_of_the_packages_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install(tmp_path, monkeypatch)
    (site / "two" / "model.bin.part2").unlink()
    with pytest.raises(ModelError, match="no installed package carries it"):
        locate(choose("base", []), tmp_path / "data", local_files_only=True)


def test_a_download_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "data"
    with pytest.raises(ModelError) as caught:
        locate(choose("base", []), below)
    assert str(caught.value) == (
        f"cannot write the model to {below / 'faster-whisper-base'}: Not a directory; "
        "give a folder with --download-dir"
    )


# Nowhere.


def test_local_files_only_never_goes_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        locate(choose("small", [tmp_path]), tmp_path, local_files_only=True)
    assert str(caught.value) == (
        "model 'small' is not in the data folders and no installed package carries it; "
        "--local-files-only forbids to download it"
    )


def test_the_add_on_is_told_that_faster_whisper_serves() -> None:
    for library in SttLibrary:
        assert guess_stt_library(library, "base", "en") == "faster-whisper"
