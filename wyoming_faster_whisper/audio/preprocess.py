"""Preprocessing: the steps that a stream passes before the VAD and the model hear it. Pure.

    audio ─► high-pass ─► shared steps ─┬─► steps for both ──────────► recording, model
                                        └─► steps for both and @vad ─► VAD

The paths part at the first step with @vad; without one, both hear the same samples. Each step is
guarded: its delay is removed, its time is measured, and if it fails, the audio passes unchanged
from there on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np

from ..errors import printable
from .highpass import HighPass
from .pcm import Samples
from .steps import FRAME, PlannedStep, Step

_LOGGER = logging.getLogger(__name__)

HIGH_PASS = "highpass"
"""Name of the step that replaces the standard high-pass filter if both paths have it."""

NONE = "none"
"""Name with which a request asks for no steps but the standard high-pass filter."""

_NOTHING: Samples = np.zeros(0, np.float32)

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class StepUse:
    """Time and outcome of one step in a part of a stream."""

    name: str
    seconds: float  # time spent in it
    failed: bool  # in this part


class _GuardedStep:
    """One step over one stream, for chunks of any length."""

    def __init__(self, planned: PlannedStep, clock: Clock) -> None:
        self._name = planned.spec.name
        self._text = str(planned.spec)
        self._step: Step | None = None  # None once it has failed
        self._seconds = 0.0  # since the last use()
        self._failed = False  # likewise
        self._clock = clock
        self._held = _NOTHING  # input whose output has not been returned
        self._unprocessed = 0  # samples at the end of _held that the step has not had
        try:
            step = planned.make()
            self._skip = self._delay = step.delay
            self._step = step
        except Exception as error:
            self._fail(error)

    def feed(self, samples: Samples) -> Samples:
        """Take more samples; return those that are ready."""
        if self._step is None:
            return samples
        self._held = np.concatenate((self._held, samples))
        self._unprocessed += len(samples)
        count = self._unprocessed // FRAME * FRAME
        if not count:
            return _NOTHING
        start = len(self._held) - self._unprocessed
        began = self._clock()
        try:
            out = _checked(self._step(self._held[start : start + count]), count)
        except Exception as error:
            self._fail(error)
            out, self._held = self._held, _NOTHING
            return out
        finally:
            self._seconds += self._clock() - began
        self._unprocessed -= count
        skipped = min(self._skip, count)
        self._skip -= skipped
        self._held = self._held[count - skipped :]
        return out[skipped:]

    def finish(self) -> Samples:
        """End the stream; return the samples that are still held."""
        if not len(self._held):
            return _NOTHING
        missing = len(self._held)
        return self.feed(np.zeros(self._delay + FRAME, np.float32))[:missing]

    def use(self) -> StepUse:
        """Return what the step did since the last call."""
        use = StepUse(self._name, self._seconds, self._failed)
        self._seconds, self._failed = 0.0, False
        return use

    def _fail(self, error: Exception) -> None:
        self._step, self._failed = None, True
        _LOGGER.warning(
            "Preprocessing step %s failed (%s: %s); it is skipped for the rest of this stream",
            self._text,
            type(error).__name__,
            printable(error, 200),
        )


def _checked(out: Samples, count: int) -> Samples:
    """Return a copy of the output of a step, as float32; a step may use its array again.

    Raises:
        ValueError: it is not what a step has to return.
    """
    out = np.array(out, np.float32)
    if out.shape != (count,):
        raise ValueError(f"it returned shape {out.shape} for {count} samples")
    if not np.isfinite(out.sum()):
        raise ValueError("it returned a NaN or an infinite sample")
    return out


class _Chain:
    """Steps one after the other over one stream. Their delays are compensated in the output."""

    def __init__(self, planned: Iterable[PlannedStep], clock: Clock) -> None:
        self.steps = [_GuardedStep(each, clock) for each in planned]

    def feed(self, samples: Samples) -> Samples:
        for step in self.steps:
            samples = step.feed(samples)
        return samples

    def finish(self) -> Samples:
        tail = _NOTHING
        for step in self.steps:
            tail = np.concatenate((step.feed(tail), step.finish()))
        return tail


class Preprocessor:
    """The steps of one stream. Call it on the event loop.

    Args:
        planned: the steps, in order.
        clock: returns seconds, for the time that each step takes.
    """

    def __init__(self, planned: Sequence[PlannedStep], clock: Clock) -> None:
        own = any(p.spec.name == HIGH_PASS and not p.spec.vad_only for p in planned)
        self._high_pass = None if own else HighPass()
        shared = list(takewhile(lambda each: not each.spec.vad_only, planned))
        rest = planned[len(shared) :]
        self._shared = _Chain(shared, clock)
        self._model = _Chain([each for each in rest if not each.spec.vad_only], clock)
        self._vad = _Chain(rest, clock)
        self.separate = bool(rest)
        """True if the VAD hears other samples than the model."""

    def feed(self, samples: Samples) -> tuple[Samples, Samples]:
        """Take more samples of the stream; return those for the model and those for the VAD.

        Either may be late by a moment, until finish().
        """
        if self._high_pass is not None:
            samples = self._high_pass.feed(samples)
        samples = self._shared.feed(samples)
        if not self.separate:
            return samples, samples
        return self._model.feed(samples), self._vad.feed(samples)

    def finish(self) -> tuple[Samples, Samples]:
        """End the stream; return the rest. Both paths then have as many samples as came in."""
        tail = self._shared.finish()
        if not self.separate:
            return tail, tail
        model, vad = (
            np.concatenate((chain.feed(tail), chain.finish()))
            for chain in (self._model, self._vad)
        )
        return model, vad

    def used(self) -> list[StepUse]:
        """Return what each step did since the last call, for both paths if each has its own."""
        chains = (self._shared, self._model, self._vad)
        return [step.use() for chain in chains for step in chain.steps]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The steps that the operator chose, and what a request may choose instead."""

    steps: tuple[PlannedStep, ...] = ()  # of requests that choose nothing
    profiles: Mapping[str, tuple[PlannedStep, ...]] = field(default_factory=dict)
    clock: Clock = float  # returns seconds; the default measures nothing

    @property
    def choices(self) -> tuple[str, ...]:
        """Names that a request may give."""
        own = dict.fromkeys(each.spec.name for each in self.steps)
        return (NONE, *self.profiles, *own)

    def choose(self, wanted: Sequence[str] | None) -> tuple[PlannedStep, ...]:
        """Return the steps for a request, in the operator's order and with its arguments.

        Args:
            wanted: names from choices; () and "none" mean no steps. None = the operator's.

        Raises:
            KeyError: a name is not in choices.
        """
        if wanted is None:
            return self.steps
        for name in wanted:
            if name not in self.choices:
                raise KeyError(name)
        profiles = [step for name in wanted for step in self.profiles.get(name, ())]
        return (*profiles, *(step for step in self.steps if step.spec.name in wanted))

    def stream(self, wanted: Sequence[str] | None = None) -> Preprocessor:
        """Make the steps for one stream; see choose()."""
        return Preprocessor(self.choose(wanted), self.clock)
