"""The configuration of a replica, and the one that is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.serving.configuration import ModelSpec, parse_config

SERVE = Path(__file__).parents[3] / "deploy" / "ray" / "serve.yaml"


def test_options_become_flags() -> None:
    options = {"device": "cuda", "max_batch": 16, "local-files-only": True, "debug": False}
    config = parse_config({"model": "base", "version": "2", "options": options})
    flags = ("--model=base", "--device=cuda", "--max-batch=16", "--local-files-only")
    assert config.model == ModelSpec("base", "2", flags)
    assert (dict(config.others), config.max_waiting) == ({}, 64)


def test_other_models_are_listed_by_name() -> None:
    acme = {"version": "3", "options": {"model": "/models/acme", "languages": ["en", "de"]}}
    config = parse_config({"model": "base", "models": {"acme": acme}, "max_waiting": 5})
    flags = ("--model=/models/acme", "--languages=en", "--languages=de")
    assert config.others == {"acme": ModelSpec("acme", "3", flags)}
    assert config.max_waiting == 5


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (None, "the configuration is 'None'; it must be an object"),
        ({}, "the name of a model is 'None'"),
        ({"model": "a/b"}, "the name of a model is 'a/b'"),
        ({"model": "base", "version": 2}, "the version of a model is '2'"),
        ({"model": "base", "versions": "2"}, "has 'versions'; it may have max_waiting, model"),
        ({"model": "base", "options": ["--device"]}, "options of model base is"),
        ({"model": "base", "max_waiting": 0}, "max_waiting is 0"),
        ({"model": "base", "max_waiting": True}, "max_waiting is True"),
        ({"model": "base", "token_file": 5}, "token_file is '5'; it must be a path"),
        ({"model": "base", "token_file": ""}, "token_file is ''; it must be a path"),
        ({"model": "base", "models": {"base": {}}}, "model base is given twice"),
        ({"model": "base", "models": {"acme": {"model": "b"}}}, "model acme has 'model'"),
        ({"model": "base", "models": {5: {}}}, "models is"),
    ],
)
def test_a_malformed_configuration_is_one_sentence(given: Any, error: str) -> None:
    with pytest.raises(SettingError) as raised:
        parse_config(given)
    assert error in str(raised.value)


def test_the_deployed_configuration_can_be_served() -> None:
    [application] = yaml.safe_load(SERVE.read_text())["applications"]
    [deployment] = application["deployments"]
    module, _, name = application["import_path"].partition(":")
    source = (Path(__file__).parents[3] / f"{module.replace('.', '/')}.py").read_text()
    assert f"class {deployment['name']}:" in source
    assert f"\n{name} = {deployment['name']}.bind()" in source
    config = parse_config(deployment["user_config"])
    read = read_settings(config.model.options, {"HOME": "/root"})
    assert read.settings.model == (config.model.name,)
    assert read.warnings == ()
    # The queue of a replica sees all jobs that it may get.
    assert config.max_waiting >= deployment["max_ongoing_requests"]
