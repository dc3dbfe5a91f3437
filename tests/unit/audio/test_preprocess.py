"""Preprocessing of a stream: order, delays, the two paths, steps that fail."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.support.toy_step import smooth
from wyoming_faster_whisper.audio.gain import gain
from wyoming_faster_whisper.audio.highpass import HighPass, high_pass
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.audio.preprocess import Preprocessing, Preprocessor, StepUse
from wyoming_faster_whisper.audio.steps import FRAME, PlannedStep, Step, StepSpec

SOUND = np.random.default_rng(0).normal(0, 0.1, 5000).astype(np.float32)


class Function:
    """A step that applies a function to each sample, late by a delay."""

    def __init__(self, change: Callable[[Samples], Samples], delay: int = 0) -> None:
        self.delay = delay
        self.sizes: list[int] = []
        self._change = change
        self._late = np.zeros(delay, np.float32)

    def __call__(self, samples: Samples) -> Samples:
        self.sizes.append(len(samples))
        whole = np.concatenate((self._late, self._change(samples)))
        self._late = whole[len(samples) :]
        return whole[: len(samples)]


class Breaking:
    """A step that passes its input on, late by a delay, and raises from a sample on."""

    def __init__(self, after: int, delay: int = 0) -> None:
        self._passing = Function(lambda samples: samples, delay)
        self.delay = delay
        self._left = after

    def __call__(self, samples: Samples) -> Samples:
        self._left -= len(samples)
        if self._left < 0:
            raise RuntimeError("the step\nbroke")
        return self._passing(samples)


def planned(text: str, step: Callable[[], Step]) -> PlannedStep:
    return PlannedStep(StepSpec.parse(text), lambda _: step())


def double(text: str = "double", delay: int = 0) -> PlannedStep:
    return planned(text, lambda: Function(lambda samples: samples * 2, delay))


def plain(*steps: PlannedStep) -> Preprocessor:
    """Return a preprocessor without the standard high-pass filter."""
    passing = planned("highpass", lambda: Function(lambda samples: samples))
    return Preprocessing((passing, *steps)).stream()


def run(stream: Preprocessor, sound: Samples = SOUND, size: int = 160) -> tuple[Samples, Samples]:
    """Return all that the model and the VAD hear of a sound, sent in chunks of a size."""
    pieces = [stream.feed(sound[at : at + size]) for at in range(0, len(sound), size)]
    pieces.append(stream.finish())
    model, vad = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return model, vad


def test_without_steps_every_stream_passes_the_standard_high_pass_filter() -> None:
    stream = Preprocessing().stream()
    heard, for_vad = stream.feed(SOUND)
    np.testing.assert_array_equal(heard, HighPass().feed(SOUND))
    assert for_vad is heard
    assert not stream.separate
    assert stream.used() == []


def test_a_step_gets_the_filtered_sound() -> None:
    heard, _ = run(Preprocessing((double(),)).stream())
    np.testing.assert_allclose(heard, 2 * HighPass().feed(SOUND), atol=1e-6)


def test_a_high_pass_step_replaces_the_standard_one() -> None:
    steeper = PlannedStep(StepSpec("highpass", "150"), high_pass)
    heard, _ = run(Preprocessing((steeper,)).stream())
    np.testing.assert_allclose(heard, HighPass(150.0).feed(SOUND), atol=1e-6)


def test_a_high_pass_step_for_the_vad_leaves_the_standard_one_to_the_model() -> None:
    steeper = PlannedStep(StepSpec("highpass", "150", vad_only=True), high_pass)
    heard, for_vad = run(Preprocessing((steeper,)).stream())
    filtered = HighPass().feed(SOUND)
    np.testing.assert_allclose(heard, filtered, atol=1e-6)
    np.testing.assert_allclose(for_vad, HighPass(150.0).feed(filtered), atol=1e-6)


def test_steps_run_in_order() -> None:
    add = planned("add", lambda: Function(lambda samples: samples + 1))
    np.testing.assert_allclose(run(plain(add, double()))[0], 2 * (SOUND + 1))
    np.testing.assert_allclose(run(plain(double(), add))[0], 2 * SOUND + 1)


@pytest.mark.parametrize("size", [1, 159, 160, 161, 4999, 5000])
@pytest.mark.parametrize("delays", [(0, 0), (96, 0), (7, 1000), (160, 320), (4000, 4000)])
def test_delays_shift_no_time_stamp(delays: tuple[int, int], size: int) -> None:
    stream = plain(*(double(f"late{number}", delay) for number, delay in enumerate(delays)))
    heard, for_vad = run(stream, size=size)
    np.testing.assert_allclose(heard, 4 * SOUND)
    np.testing.assert_array_equal(for_vad, heard)


@pytest.mark.parametrize("length", [0, 1, 100, 159, 160, 1000])
def test_a_short_stream_keeps_its_length(length: int) -> None:
    heard, _ = run(plain(double(delay=500)), SOUND[:length])
    np.testing.assert_allclose(heard, 2 * SOUND[:length])


def test_a_step_of_a_package_keeps_the_sound_in_place() -> None:
    heard, _ = run(plain(PlannedStep(StepSpec("smooth", "5"), smooth)), size=77)
    expected = np.convolve(SOUND, np.full(5, 0.2), "same")
    np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_a_step_gets_whole_frames_of_10_ms() -> None:
    step = Function(lambda samples: samples)
    run(plain(planned("sized", lambda: step)), size=111)
    assert step.sizes
    assert all(size and size % FRAME == 0 for size in step.sizes)


def test_each_stream_has_its_own_state() -> None:
    preprocessing = Preprocessing((PlannedStep(StepSpec("gain"), gain), double(delay=50)))
    alone, _ = run(preprocessing.stream())
    one, other = preprocessing.stream(), preprocessing.stream()
    pieces = []
    for at in range(0, len(SOUND), 160):
        pieces.append(one.feed(SOUND[at : at + 160])[0])
        other.feed(-3 * SOUND[at : at + 160])
    np.testing.assert_array_equal(np.concatenate([*pieces, one.finish()[0]]), alone)


def test_a_step_for_the_vad_leaves_the_model_the_original() -> None:
    stream = plain(double("double@vad", delay=96))
    assert stream.separate
    heard, for_vad = run(stream)
    np.testing.assert_allclose(heard, SOUND)
    np.testing.assert_allclose(for_vad, 2 * SOUND)


def test_steps_after_one_for_the_vad_run_on_both_paths() -> None:
    add = planned("add", lambda: Function(lambda samples: samples + 1, 33))
    heard, for_vad = run(plain(double(), double("louder@vad", 96), add), size=200)
    np.testing.assert_allclose(heard, 2 * SOUND + 1)
    np.testing.assert_allclose(for_vad, 4 * SOUND + 1)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("size", [100, 160, 333, 5000])
@pytest.mark.parametrize("delay", [0, 96, 480, 3000])
def test_a_step_that_raises_is_left_out_from_there_on(
    size: int, delay: int, caplog: pytest.LogCaptureFixture
) -> None:
    stream = plain(planned("breaks:x", lambda: Breaking(2000, delay)), double())
    heard, _ = run(stream, size=size)
    np.testing.assert_allclose(heard, 2 * SOUND)
    assert warnings(caplog) == [
        "Preprocessing step breaks:x failed (RuntimeError: the step?broke); it is skipped for "
        "the rest of this stream"
    ]
    assert [use.failed for use in stream.used()] == [False, True, False]


def test_a_step_that_raises_at_the_end_loses_nothing() -> None:
    heard, _ = run(plain(planned("breaks", lambda: Breaking(5000, 300))))
    np.testing.assert_allclose(heard, SOUND)


def test_a_failure_on_one_path_leaves_the_other_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard, for_vad = run(plain(planned("breaks@vad", lambda: Breaking(1000)), double()))
    np.testing.assert_allclose(heard, 2 * SOUND)
    np.testing.assert_allclose(for_vad, 2 * SOUND)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda samples: samples[1:], "it returned shape (159,) for 160 samples"),
        (lambda samples: samples[np.newaxis], "it returned shape (1, 160) for 160 samples"),
        (lambda samples: samples * np.nan, "it returned a NaN or an infinite sample"),
        (lambda samples: None, "it returned shape () for 160 samples"),
        (lambda samples: "sound", "could not convert string to float"),
    ],
)
def test_a_step_that_returns_something_else_has_failed(
    broken: Callable[[Samples], Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        delay = 0

        def __call__(self, samples: Samples) -> Samples:
            out: Samples = broken(samples)
            return out

    heard, _ = run(plain(planned("broken", Broken)))
    np.testing.assert_array_equal(heard, SOUND)
    [warning] = warnings(caplog)
    assert reason in warning


def test_a_step_that_cannot_be_made_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: str) -> Step:
        raise OSError("no memory")

    stream = plain(PlannedStep(StepSpec("heavy"), refuse))
    np.testing.assert_array_equal(run(stream)[0], SOUND)
    [warning] = warnings(caplog)
    assert "step heavy failed (OSError: no memory)" in warning


def test_a_step_may_use_its_array_again() -> None:
    class Reusing:
        delay = 160

        def __init__(self) -> None:
            self._out = np.zeros(160, np.float32)
            self._late = np.zeros(160, np.float32)

        def __call__(self, samples: Samples) -> Samples:
            self._out[:] = self._late
            self._late = samples.copy()
            return self._out

    heard, _ = run(plain(planned("reusing", Reusing)), SOUND[:4800])
    np.testing.assert_array_equal(heard, SOUND[:4800])


def test_the_time_in_each_step_is_measured() -> None:
    ticks: Iterator[int] = count()
    steps = (double("one"), double("two@vad"))
    stream = Preprocessing(steps, clock=lambda: next(ticks)).stream()
    for _ in range(3):
        stream.feed(SOUND[:160])
    assert stream.used() == [StepUse("one", 3, False), StepUse("two", 3, False)]
    stream.feed(SOUND[:160])
    assert stream.used() == [StepUse("one", 1, False), StepUse("two", 1, False)]


def test_a_failure_is_reported_once() -> None:
    stream = plain(planned("breaks", lambda: Breaking(0)))
    stream.feed(SOUND[:160])
    assert [use.failed for use in stream.used()] == [False, True]
    stream.feed(SOUND[:160])
    assert [use.failed for use in stream.used()] == [False, False]


# What a request may choose.


@pytest.fixture
def offered() -> Preprocessing:
    return Preprocessing(
        (double("one:5"), double("two@vad")), {"near_field": (double("three"), double("four"))}
    )


@pytest.mark.parametrize(
    ("wanted", "steps"),
    [
        (None, ["one:5", "two@vad"]),
        ((), []),
        (("none",), []),
        (("two",), ["two@vad"]),
        (("two", "one"), ["one:5", "two@vad"]),
        (("near_field",), ["three", "four"]),
        (("near_field", "two"), ["three", "four", "two@vad"]),
    ],
)
def test_a_request_chooses_among_the_operators_steps_and_the_profiles(
    offered: Preprocessing, wanted: tuple[str, ...] | None, steps: list[str]
) -> None:
    assert [str(step.spec) for step in offered.choose(wanted)] == steps


@pytest.mark.parametrize("name", ["denoise", "one:6", "one:5", "two@vad", ""])
def test_a_request_cannot_choose_anything_else(offered: Preprocessing, name: str) -> None:
    assert offered.choices == ("none", "near_field", "one", "two")
    with pytest.raises(KeyError):
        offered.choose(("one", name))
