"""Public import paths and commands, which must not change."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

import wyoming_faster_whisper
from wyoming_faster_whisper.models import SttLibrary, guess_stt_library

ROOT = Path(wyoming_faster_whisper.__file__).parents[1]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("health_check", "check default_uri main"),
        ("models", "guess_stt_library SttLibrary"),
        ("testing", "FakeEngine FakeMicrophone LoudnessVad pcm16 silence tone"),
        ("client", "Client ClientError Clip Lost Refused Retry Spoken Unreachable read_wav"),
    ],
)
def test_public_names_keep_their_import_paths(module: str, names: str) -> None:
    found = importlib.import_module(f"wyoming_faster_whisper.{module}")
    for name in names.split():
        assert getattr(found, name) is not None
        assert name in found.__all__


def test_guess_stt_library_keeps_its_result() -> None:
    assert guess_stt_library(SttLibrary.AUTO, "base", "en") is SttLibrary.FASTER_WHISPER


def test_the_console_scripts_keep_their_names() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {
        "wyoming-faster-whisper",
        "wyoming-faster-whisper-client",
        "wyoming-faster-whisper-doctor",
    }
    for place in scripts.values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
