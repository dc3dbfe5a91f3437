"""Registry of preprocessing steps: what --preprocess may name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import toy_step
from tests.support.plug_ins import STEPS, install
from wyoming_faster_whisper.app.preprocessing import make_preprocessing
from wyoming_faster_whisper.audio.denoise import Denoise
from wyoming_faster_whisper.audio.gain import GainNormaliser
from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.steps import Step
from wyoming_faster_whisper.errors import SettingError


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = install(
        tmp_path / "packages",
        STEPS,
        smooth=f"{toy_step.__name__}:smooth",
        fails=f"{__name__}:fail",
        late=f"{__name__}:Late",
        missing="a_package_that_is_not_there:step",
        misnamed=f"{__name__}:nothing",
    )
    monkeypatch.syspath_prepend(here)


def fail(argument: str) -> Step:
    raise RuntimeError("no device")


class Late:
    def __init__(self, argument: str) -> None:
        self.delay = float(argument) if "." in argument else int(argument)


def refusal(*steps: str) -> str:
    with pytest.raises(SettingError) as caught:
        make_preprocessing(steps)
    return str(caught.value)


def test_without_the_option_there_is_no_step() -> None:
    assert make_preprocessing(()).steps == ()


def test_the_built_in_steps_and_those_of_packages_are_found() -> None:
    texts = ("highpass:100", "gain:-20", "smooth:3", "denoise:3@vad")
    preprocessing = make_preprocessing(texts)
    assert tuple(str(each.spec) for each in preprocessing.steps) == texts
    kinds = [type(each.make()) for each in preprocessing.steps]
    assert kinds == [HighPass, GainNormaliser, toy_step.Smooth, Denoise]
    assert [use.name for use in preprocessing.stream().used()] == [
        *("highpass", "gain", "smooth", "denoise")
    ]


def test_the_time_in_the_steps_is_measured() -> None:
    stream = make_preprocessing(["gain"]).stream()
    stream.feed(np.zeros(1600, np.float32))
    [use] = stream.used()
    assert use.seconds > 0


def test_an_unknown_step_is_refused_with_a_list_of_those_there_are() -> None:
    assert refusal("gain", "agc") == (
        "--preprocess names 'agc', which is not installed; there are denoise, fails, gain, "
        "highpass, late, misnamed, missing, smooth"
    )


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("gain:5", "--preprocess gain:5: the target is 5; it must be -50 to -10 dBFS"),
        ("smooth:4", "--preprocess smooth:4: the width is 4; it must be 3, 5 or 7 samples"),
        ("fails", "--preprocess fails: RuntimeError: no device"),
        ("late:-1", "--preprocess late:-1 has a delay of -1 samples; it must be 0 to 16000"),
        ("late:16001", "--preprocess late:16001 has a delay of 16001 samples"),
        ("late:1.5", "--preprocess late:1.5 has a delay of 1.5 samples"),
        ("missing", "--preprocess missing cannot be imported: No module named 'a_package_that"),
        ("misnamed", "--preprocess misnamed cannot be imported: module "),
    ],
)
def test_a_step_that_cannot_be_used_is_refused(step: str, error: str) -> None:
    assert refusal(step).startswith(error)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtc_noise_gain", None)
    assert refusal("denoise@vad") == (
        "--preprocess denoise@vad: it needs webrtc_noise_gain: "
        f"{sys.executable} -m pip install 'wyoming-faster-whisper[denoise]'"
    )


def test_the_profiles_of_a_request_are_made_of_usable_steps() -> None:
    preprocessing = make_preprocessing(())
    assert preprocessing.choices == ("none", "near_field", "far_field")
    for name in ("near_field", "far_field"):
        used = preprocessing.stream((name,))
        used.feed(np.zeros(1600, np.float32))
        assert used.separate
        assert not any(use.failed for use in used.used())


def test_without_the_extra_there_are_no_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    # find_spec() looks here for a package that is not imported yet.
    monkeypatch.delitem(sys.modules, "webrtc_noise_gain", raising=False)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    assert make_preprocessing(["gain"]).choices == ("none", "gain")
