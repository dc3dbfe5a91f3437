"""Meaning of model names."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.models import (
    SttLibrary,
    choose,
    guess_stt_library,
)
from wyoming_faster_whisper.models.languages import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3
from wyoming_faster_whisper.models.names import REPOSITORIES, standard_name

from .made import BASE, TINY_EN, put_model


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


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("base", "base"),
        ("Base.int8", "base"),
        ("Systran/faster-whisper-tiny.en", "tiny.en"),
        ("rhasspy/faster-whisper-small-int8", "small"),
        ("whisper-base-german", "base"),
        ("distil-whisper/distil-large-v3.5-ct2", "distil-large-v3.5"),
        ("faster-whisper-large-v3-turbo", "large-v3-turbo"),
        ("basement", ""),
        ("", ""),
    ],
)
def test_a_name_contains_a_standard_name(name: str, standard: str) -> None:
    assert standard_name(name) == standard


def test_every_model_of_the_add_on_has_a_name() -> None:
    names = (
        "tiny-int8 tiny tiny.en base-int8 base base.en small-int8 distil-small.en small small.en "
        "distil-medium.en medium-int8 medium medium.en large large-v1 distil-large-v2 large-v2 "
        "distil-large-v3 large-v3 turbo"
    )
    assert set(names.split()) <= set(REPOSITORIES)


@pytest.mark.parametrize(
    ("name", "known"),
    [("Tiny.en", "tiny.en"), ("BASE.INT8", "base-int8"), ("Large-V3", "large-v3")],
)
def test_a_model_name_may_be_written_in_any_case(name: str, known: str) -> None:
    assert choose(name, []) == choose(known, [])


def test_a_hub_id_keeps_its_case() -> None:
    assert choose("Owner/Tiny", []).repository == "Owner/Tiny"


@pytest.mark.parametrize(
    ("name", "known"), [("smal", "small"), ("Tinyen", "tiny.en"), ("large-v4", "large-v3")]
)
def test_the_most_similar_name_is_suggested(name: str, known: str) -> None:
    with pytest.raises(ModelError, match=f"model '{name}' is unknown; did you mean {known}[?] "):
        choose(name, [])


@pytest.mark.parametrize("name", ["huge", "a/b/c", "owner/", "büro/modell", "a b/c"])
def test_an_unknown_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # a directory without a folder of that name
    with pytest.raises(ModelError, match=r"model .* is unknown; give a directory, a hub id"):
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
def test_the_languages_follow_from_the_name(name: str, languages: tuple[str, ...]) -> None:
    assert choose(name, []).languages == languages
    assert choose(name, []).multilingual == (len(languages) > 1)


@pytest.mark.parametrize(
    ("count", "languages"), [(98, ENGLISH), (99, MULTILINGUAL), (100, MULTILINGUAL_V3)]
)
def test_the_languages_in_the_config_override_the_name(
    tmp_path: Path, count: int, languages: tuple[str, ...]
) -> None:
    directory = put_model(tmp_path / "my-model", count)
    assert choose(str(directory), []).languages == languages


@pytest.mark.parametrize("config", ["[]", "null", "nonsense", '{"lang_ids": 5}'])
def test_an_unusable_config_falls_back_to_the_name(tmp_path: Path, config: str) -> None:
    directory = put_model(tmp_path / "my-large-v3")
    (directory / "config.json").write_text(config)
    assert choose(str(directory), []).languages == MULTILINGUAL_V3


def test_the_stt_library_is_always_faster_whisper() -> None:
    for library in SttLibrary:
        assert guess_stt_library(library, "base", "en") == "faster-whisper"
