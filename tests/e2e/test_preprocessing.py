"""Preprocessing with --preprocess, in real servers: a step of an installed package, failures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support import toy_recognizer, toy_step
from tests.support.clips import CLIPS
from tests.support.plug_ins import RECOGNIZERS, STEPS, install
from tests.support.serving import warnings
from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples, decode_pcm
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import pcm16, tone

from .conftest import Serve, StartProcess
from .test_metrics import metrics

ROUNDING = 2 / 32768


class Breaking:
    """A step that fails after half a second."""

    delay = 0

    def __init__(self, _: str) -> None:
        self._left = 8_000

    def __call__(self, samples: Samples) -> Samples:
        self._left -= len(samples)
        if self._left < 0:
            raise RuntimeError("the step broke")
        return samples


class Deaf:
    """A step after which there is silence."""

    delay = 0

    def __init__(self, _: str) -> None: ...

    def __call__(self, samples: Samples) -> Samples:
        return np.zeros(len(samples), np.float32)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the toy step, and some of this file, are installed."""
    folder = install(
        tmp_path / "packages",
        STEPS,
        smooth="smoother:smooth",
        breaks=f"{__name__}:Breaking",
        deaf=f"{__name__}:Deaf",
    )
    shutil.copy(toy_step.__file__, folder / "smoother.py")
    monkeypatch.syspath_prepend(folder)
    return folder


def filtered(samples: Samples) -> Samples:
    return HighPass().feed(decode_pcm(pcm16(samples), PcmFormat()))


@pytest.mark.usefixtures("packages")
async def test_the_model_hears_the_sound_after_the_step_of_a_package(serve: Serve) -> None:
    server = await serve(preprocess="smooth:7")
    sound = tone(1.0)
    async with server.client() as client:
        await client.say(sound)
        assert await client.transcript() == "1.0 seconds"
    [job] = server.engine.decoded
    expected = np.convolve(filtered(sound), np.full(7, 1 / 7), "same")
    assert np.allclose(job.samples[: len(expected)], expected, atol=ROUNDING)


@pytest.mark.usefixtures("packages")
async def test_a_step_for_the_vad_only_does_not_reach_the_model(serve: Serve) -> None:
    server = await serve(preprocess="smooth:7@vad")
    sound = tone(1.0)
    async with server.client() as client:
        await client.say(sound)
        assert await client.transcript() == "1.0 seconds"
    [job] = server.engine.decoded
    assert np.allclose(job.samples[: len(sound)], filtered(sound), atol=ROUNDING)


@pytest.mark.usefixtures("packages")
async def test_the_vad_hears_the_sound_after_a_step_for_it(serve: Serve) -> None:
    server = await serve(preprocess="deaf@vad")
    async with server.client() as client:
        await client.say(tone(1.0))
        assert await client.transcript() == ""
    assert server.engine.decoded == []


@pytest.mark.usefixtures("packages")
async def test_a_step_that_fails_is_left_out_and_the_utterance_answered(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(preprocess="breaks,smooth:3", metrics_port=0)
    async with server.client() as client:
        for _ in range(2):
            await client.say(tone(1.0))
            assert await client.transcript() == "1.0 seconds"
        found = await metrics(server)
    assert warnings(caplog) == 2 * [
        "Preprocessing step breaks failed (RuntimeError: the step broke); it is skipped for "
        "the rest of this stream"
    ]
    assert found['preprocess_failures_total{step="breaks"}'] == 2
    assert found['preprocess_seconds_count{step="smooth"}'] == 2
    assert found['preprocess_seconds_sum{step="smooth"}'] > 0


async def test_the_built_in_steps_run_together(serve: Serve) -> None:
    server = await serve(preprocess="highpass:100,gain,denoise:2@vad", metrics_port=0)
    speech = CLIPS["lights"].samples
    async with server.client() as client:
        await client.say(speech)
        assert await client.transcript() != ""
        found = await metrics(server)
    steps = {name for name in found if name.startswith("preprocess_seconds_count")}
    assert len(steps) == 3
    assert not [name for name in found if name.startswith("preprocess_failures")]


@pytest.mark.usefixtures("packages")
async def test_an_unknown_step_ends_the_start(serve: Serve) -> None:
    with pytest.raises(
        SettingError, match=r"names 'agc', .*breaks, deaf, denoise, gain, highpass"
    ):
        await serve(preprocess="agc")


async def test_a_process_serves_with_a_step_of_an_installed_package(
    start_process: StartProcess, packages: Path, tmp_path: Path
) -> None:
    recognizer = install(tmp_path / "recognizer", RECOGNIZERS, toy="loudness:recognizer")
    shutil.copy(toy_recognizer.__file__, recognizer / "loudness.py")
    process = await start_process(
        *("--uri", "tcp://127.0.0.1:0", "--stt-library", "toy", "--language", "en"),
        *("--preprocess", "smooth:5,denoise@vad"),
        PYTHONPATH=os.pathsep.join(
            [str(packages), str(recognizer), os.environ.get("PYTHONPATH", "")]
        ),
    )
    async with process.client() as client:
        await process.ready()
        await client.say(CLIPS["lights"].samples)
        assert await client.transcript() in ("Loud.", "Quiet.")
    assert "Preprocessing step" not in process.log
