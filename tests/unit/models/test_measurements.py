"""Stored decode times, and the choice of --model auto that follows from them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from wyoming_faster_whisper.models import (
    Measurements,
    choose_auto,
    locate,
)
from wyoming_faster_whisper.models.auto import Machine, Measurement

from .made import install, put_model


def test_auto_takes_a_model_from_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    model = choose_auto([tmp_path / "data"], Machine(memory=4000))
    assert model.name == "base-int8"
    assert locate(model, tmp_path / "data") == tmp_path / "data" / "faster-whisper-base"


def test_auto_uses_measurements_of_this_machine(tmp_path: Path) -> None:
    for size in ("tiny", "base", "small"):
        put_model(tmp_path / size)
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"
    Measurements(tmp_path).write("base", Measurement(0.1, 1))
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "small"
    (tmp_path / "decode-seconds.json").unlink()
    Measurements(tmp_path).write("base", Measurement(0.8, 1))
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "tiny"


def test_a_size_that_was_slow_once_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in ("tiny", "base"):
        put_model(tmp_path / size)
    Measurements(tmp_path).write("base", Measurement(0.46, 1))
    Measurements(tmp_path).write("tiny", Measurement(0.23, 1))
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "tiny"
    later(monkeypatch, days=8)
    Measurements(tmp_path).write(
        "tiny", Measurement(0.23, 1)
    )  # leaves the age of the other figure as it is
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"
    Measurements(tmp_path).write("base", Measurement(0.3, 1))
    later(monkeypatch, days=30)
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"


def test_a_measurement_without_a_date_is_outdated(tmp_path: Path) -> None:
    file = tmp_path / "decode-seconds.json"
    file.write_text('{"base": {"seconds": 0.46, "threads": 1}}')
    assert Measurements(tmp_path).read()["base"].outdated


def test_the_best_measurement_of_a_week_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = Measurements(tmp_path)
    for seconds, best in ((0.3, 0.3), (0.46, 0.3), (0.25, 0.25)):
        figures.write("base", Measurement(seconds, 1))
        assert figures.read() == {"base": Measurement(best, 1)}
    figures.write("base", Measurement(0.27, 2))
    assert figures.read() == {"base": Measurement(0.27, 2)}
    later(monkeypatch, days=8)
    figures.write("base", Measurement(0.4, 2))
    assert figures.read() == {"base": Measurement(0.4, 2)}


def test_each_kind_of_device_has_its_own_measurements(tmp_path: Path) -> None:
    for size in ("base", "small"):
        put_model(tmp_path / size)
    Measurements(tmp_path, "cuda:1").write("base", Measurement(0.01, 1))
    assert Measurements(tmp_path, "cuda").read() == {"base": Measurement(0.01, 1)}
    assert Measurements(tmp_path, "cpu").read() == Measurements(tmp_path, "auto").read() == {}
    assert choose_auto([tmp_path], Machine(memory=4000)).name == "base"
    assert choose_auto([tmp_path], Machine(memory=4000), device="cuda").name == "small"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_measurement_is_ignored(tmp_path: Path, seconds: float) -> None:
    rows = {
        "tiny": {"seconds": seconds, "threads": 1},
        "base": {"seconds": 0.2, "threads": 1},
    }
    (tmp_path / "decode-seconds.json").write_text(json.dumps(rows))
    Measurements(tmp_path).write("medium", Measurement(seconds, 1))
    assert Measurements(tmp_path).read() == {"base": Measurement(0.2, 1)}


def test_a_measurement_with_an_impossible_date_is_ignored(tmp_path: Path) -> None:
    rows = '{"base": {"seconds": 0.2, "threads": 1, "measured": NaN}}'
    (tmp_path / "decode-seconds.json").write_text(rows)
    assert Measurements(tmp_path).read() == {}


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "decode-seconds.json").mkdir()  # a directory, which a file cannot replace
    Measurements(tmp_path).write("base", Measurement(0.2, 1))
    assert [file.name for file in tmp_path.iterdir()] == ["decode-seconds.json"]


def later(monkeypatch: pytest.MonkeyPatch, *, days: float) -> None:
    now = time.time() + days * 86_400
    monkeypatch.setattr("wyoming_faster_whisper.models.measurements.time.time", lambda: now)


def test_a_damaged_measurements_file_is_ignored(tmp_path: Path) -> None:
    nested = "[" * 200_000
    huge = '{"base": {"seconds": 1' + "0" * 400 + ', "threads": 1}}'
    for content in ("{", "[1]", '{"base": "fast"}', nested, huge):
        (tmp_path / "decode-seconds.json").write_text(content)
        assert Measurements(tmp_path).read() == {}
    Measurements(tmp_path).write("base", Measurement(0.25, 2))
    assert Measurements(tmp_path).read() == {"base": Measurement(0.25, 2)}
