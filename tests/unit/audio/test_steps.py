"""How preprocessing steps are written."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.audio.steps import StepSpec
from wyoming_faster_whisper.errors import SettingError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("gain", StepSpec("gain")),
        ("highpass:80", StepSpec("highpass", "80")),
        ("gain:-20.5", StepSpec("gain", "-20.5")),
        ("denoise@vad", StepSpec("denoise", vad_only=True)),
        ("denoise:2@vad", StepSpec("denoise", "2", vad_only=True)),
        ("my-step:a=1;b=x@y", StepSpec("my-step", "a=1;b=x@y")),
    ],
)
def test_a_step_is_a_name_an_argument_and_at_vad(text: str, spec: StepSpec) -> None:
    assert StepSpec.parse(text) == spec
    assert str(spec) == text


@pytest.mark.parametrize("text", ["", ":80", "gain:", "gain@vat", "gain @vad", "-gain", "@vad"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"--preprocess contains .* a step is NAME"):
        StepSpec.parse(text)
