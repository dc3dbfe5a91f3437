"""The command that adds a model to a repository of Triton."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wyoming_faster_whisper.commands.export_triton import main
from wyoming_faster_whisper.config.options import Arity, Option, options
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.serving.configuration import LOADING

SECRETS = ("hass_token", "remote_token", "jwt_secret", "webhook_secret", "mqtt_password")
OTHERS = [opt for opt in options(Settings) if opt.name not in LOADING | {"max_waiting"}]


def export(folder: Path, *flags: str, **environ: str) -> Path:
    weights = folder / "base-int8"
    weights.mkdir()
    for name in ("model.bin", "config.json"):
        (weights / name).write_text("{}")
    arguments = [str(folder / "repository"), "--as-version=1", f"--model={weights}", *flags]
    return main(arguments, {"HOME": str(folder), **environ})


def test_the_flags_for_loading_are_stored_with_the_version(tmp_path: Path) -> None:
    folders = ("--data-dir=/a", "--data-dir=/b")
    flags = ("--device", "cpu", "--beam=3", "--local-files-only", *folders)
    version = export(tmp_path, *flags, "--max-waiting", "7")
    assert version == tmp_path / "repository" / "base" / "1"
    assert json.loads((version / "options.json").read_text()) == {
        "model": "base-int8",
        "flags": ["--device=cpu", "--beam-size=3", "--local-files-only", *folders],
    }
    assert "max_queue_size: 7" in (version.parent / "config.pbtxt").read_text()


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "modèle", "a\n"])
def test_a_name_that_no_server_can_ask_for_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"the name of the model in URLs is .*: --name"):
        export(tmp_path, f"--name={name}")
    assert not (tmp_path / "repository").exists()


def test_no_secret_is_read_when_a_model_is_loaded() -> None:
    named = {
        opt.name
        for opt in options(Settings)
        if opt.name.rpartition("_")[2] in ("token", "secret", "password")
    }
    assert named == set(SECRETS)
    assert not named & LOADING


@pytest.mark.parametrize("opt", OTHERS)
def test_an_option_that_does_not_concern_loading_is_not_stored(
    opt: Option, tmp_path: Path
) -> None:
    value = {float: "1", int: "1"}.get(opt.type, opt.choices[0] if opt.choices else "s3cret")
    flags = [opt.flag] if opt.arity is Arity.FLAG else [f"{opt.flag}={value}"]
    with pytest.raises(SettingError) as refused:
        export(tmp_path, *flags)
    assert opt.flag in str(refused.value)
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_refused_with_the_place_where_it_belongs(name: str, tmp_path: Path) -> None:
    flag = "--" + name.replace("_", "-")
    with pytest.raises(SettingError) as refused:
        export(tmp_path, f"{flag}=s3cret")
    assert str(refused.value) == (
        f"{flag} does nothing on a decode server and is not stored with the model; give it to "
        "the servers that name the decode server in --remote-url"
    )


def test_a_secret_in_the_environment_is_not_stored(tmp_path: Path) -> None:
    version = export(tmp_path, WYO_WHISPER_HASS_TOKEN="s3cret")
    assert "s3cret" not in (version / "options.json").read_text()
