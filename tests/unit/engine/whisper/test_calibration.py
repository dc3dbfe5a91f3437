"""Calibration files: their values, their provenance, and what a model without one gets."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from wyoming_faster_whisper import speech
from wyoming_faster_whisper.engine.whisper import calibration
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.window import Window
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3
from wyoming_faster_whisper.models.names import REPOSITORIES
from wyoming_faster_whisper.speech.turn_classifier import FEATURES

BENCH = Path(__file__).parents[4] / "bench"

SHORT, CAUTIOUS, FULL = Window(10.0, 1.0, 10.0), Window(20.0, 2.0, 30.0), Window(30.0, 0.0, 30.0)

BASE_IN_ENGLISH = {
    "window": {"floor": 10.0, "margin": 1.0, "second": 10.0},
    "hallucination": {
        "min_logprob": -0.4,
        "max_score_gap": 0.05,
        "long_speech": 3.0,
    },
    "speech": {
        "intercept": 5.8,
        "peak": 1.27,
        "avg_logprob": 3.73,
        "no_speech_prob": -4.39,
        "repeated": -0.56,
        "voiced": -4.0,
        "sure": 1.5,
    },
    "coverage": {
        "missing": 0.85,
        "missing_after": 0.4,
        "per_digit": 0.4,
        "sparse": 4.0,
        "least_spoken": 1.0,
    },
    "rescoring": {"oov_penalty": 2.0},
    "detection": {
        "expected_odds": 3.0,
        "floor": 10.0,
        "margin": 1.0,
        "least_speech": 1.0,
        "least_probability": 0.7,
    },
    "grammar": {"order": 1.0, "home": 2.0},
    "names": {
        "candidate": {
            "prior": -5.0,
            "per_sound": 1.56,
            "most_sounds": 6.16,
            "per_missed_sound": -4.68,
            "spelling": 6.0,
            "per_zipf": -0.6,
            "split": 1.5,
            "name_word": 5.0,
            "function_word_at_edge": -2.5,
            "known": -4.0,
        },
        "rewrite": {
            "after_carrier": -4.0,
            "elsewhere": 1.0,
        },
    },
    "end_of_turn": {
        "quiet": {
            "intercept": -20.826,
            "weights": {
                "full stop": 1.015,
                "dash": -0.944,
                "ellipsis": -0.543,
                "last word": -1.025,
                "final lengthening": 19.536,
                "loudness": -0.259,
                "harmonicity": 4.684,
                "spectral tilt": 0.108,
                "final loudness": -0.059,
            },
        },
        "noisy": {
            "intercept": -8.551,
            "weights": {
                "full stop": 0.875,
                "dash": -0.762,
                "ellipsis": -0.46,
                "last word": -0.481,
                "final lengthening": 2.761,
                "loudness": -0.03,
                "harmonicity": -0.479,
                "spectral tilt": 0.072,
                "final loudness": -0.063,
            },
        },
        "complete": 2.4,
        "likely": 0.6,
        "unsure": -2.0,
    },
}


def files() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in resources.files(calibration).iterdir():
        if path.name.endswith(".json") and path.name != "tokens_per_second.json":
            yield path.name, json.loads(path.read_text("utf-8"))


def sections() -> Iterator[Any]:
    gain = resources.files(speech) / "calibration" / "silero_v6.json"
    for name, found in (*files(), (gain.name, json.loads(gain.read_text("utf-8")))):
        for section, content in found.items():
            yield pytest.param(content, id=f"{name}: {section}")


def test_the_values_of_base_in_english_are_those_that_were_fitted() -> None:
    assert asdict(Calibrations("base").of("en")) == BASE_IN_ENGLISH


def test_tiny_en_has_the_full_window_and_otherwise_the_values_of_base() -> None:
    detection = {
        "expected_odds": 3.0,
        "floor": 30.0,
        "margin": 0.0,
        "least_speech": 0.0,
        "least_probability": 0.0,
    }
    values = BASE_IN_ENGLISH | {"window": asdict(FULL), "detection": detection}
    assert asdict(Calibrations("tiny.en").of("en")) == values


@pytest.mark.parametrize(
    ("model", "language", "window"),
    [
        ("base", "de", Window(20.0, 1.0, 20.0)),
        ("base", "fr", Window(20.0, 1.0, 20.0)),
        *(("base", code, Window(20.0, 1.0, 20.0)) for code in ("bg", "ca", "nl", "ro")),
        ("base", "da", FULL),
        ("base", "it", Window(15.0, 1.0, 15.0)),
        ("base", "ru", Window(15.0, 1.0, 15.0)),
        ("base", "es", Window(15.0, 1.0, 15.0)),
        ("base-int8", "en", SHORT),
        ("Systran/faster-whisper-base", "en", SHORT),
        ("whisper-base-spanish", "es", Window(15.0, 1.0, 15.0)),
        ("base.en", "en", SHORT),
        ("base", "ko", FULL),
        ("base", "", FULL),
        ("small", "en", CAUTIOUS),
        ("small", "de", FULL),
        ("distil-small.en", "en", CAUTIOUS),
        ("turbo", "en", CAUTIOUS),
        ("my-model", "en", CAUTIOUS),
        ("tiny", "ko", FULL),
        ("tiny.en-int8", "", FULL),
    ],
)
def test_a_model_gets_its_own_window_or_a_cautious_one(
    model: str, language: str, window: Window
) -> None:
    assert Calibrations(model).of(language).window == window


def test_base_tells_sounds_from_speech_alike_in_all_languages_but_english() -> None:
    base = Calibrations("base")
    assert base.of("de").speech == base.of("ko").speech != base.of("en").speech


def test_a_language_without_calibration_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    calibrations = Calibrations("small")
    for _ in range(2):
        calibrations.of("en")
    [record] = caplog.records
    assert (
        "small is not calibrated in language en for window, hallucination" in record.getMessage()
    )


@pytest.mark.parametrize(("model", "language"), [("base", "en"), ("small", "")])
def test_nothing_is_logged_for_a_calibrated_or_an_unknown_language(
    model: str, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    Calibrations(model).of(language)
    assert caplog.records == []


@pytest.mark.parametrize("name", [name for name, _ in files()])
def test_the_name_of_a_file_is_a_model_and_a_language(name: str) -> None:
    model, _, language = name.removesuffix(".json").rpartition(".")
    assert model in {"any", *REPOSITORIES}
    assert language in {"any", *MULTILINGUAL_V3}


@pytest.mark.parametrize("section", list(sections()))
def test_every_value_has_its_provenance(section: dict[str, Any]) -> None:
    covered: list[str] = []
    for source in section["provenance"]:
        covered += source.get("values", section["values"])
        assert {"script", "data", "date"} <= source.keys()
        assert source["data"] or "not a fit" in source["script"]
        for data in source["data"]:
            assert {"name", "n", "speakers", "licence"} <= data.keys()
    assert sorted(covered) == sorted(section["values"])


@pytest.mark.parametrize("section", list(sections()))
def test_the_scripts_of_the_provenance_exist(section: dict[str, Any]) -> None:
    for source in section["provenance"]:
        scripts = re.findall(r"python -m bench\.([\w.]+)", source["script"])
        assert scripts or source["script"] == "none: a cautious rule, not a fit"
        for script in scripts:
            assert (BENCH / f"{script.replace('.', '/')}.py").is_file()


def test_every_feature_of_the_classifier_has_a_weight() -> None:
    classifier = Calibrations("base").of("en").end_of_turn
    for fitted in (classifier.quiet, classifier.noisy):
        assert tuple(fitted.weights) == FEATURES
