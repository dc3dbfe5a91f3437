"""Interface of a preprocessing step, and syntax of a list of steps. Pure.

docs/preprocessing.md explains how to write a step in a package of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from ..errors import SettingError, printable
from .pcm import SAMPLE_RATE, Samples

FRAME = SAMPLE_RATE // 100
"""Samples; steps get multiples of it. 10 ms: the block that WebRTC and most denoisers take."""

LONGEST_DELAY = SAMPLE_RATE
"""Most samples by which a step may delay its output: it delays every answer as well."""


class Step(Protocol):
    """One step of the preprocessing over one stream. Called on the event loop.

    Attributes:
        delay: samples by which the output lags behind the input, 0 to LONGEST_DELAY. It must not
            change. The server removes the lag, so that no time stamp moves.
    """

    @property
    def delay(self) -> int: ...

    def __call__(self, samples: Samples, /) -> Samples:
        """Process the next samples of the stream.

        An exception, or a result of another shape or with a NaN, ends the use of the step in
        this stream: the audio passes unchanged from there on.

        Args:
            samples: float32, shape (n,), 16 kHz mono, -1 to 1; n is a multiple of FRAME, at
                least FRAME.

        Returns:
            As many samples.
        """
        ...


StepFactory = Callable[[str], Step]
"""Makes the step of one stream from its argument, which is "" if there is none.

It is called once when the server starts, to check the argument, and then once for each stream.
Raises ValueError for an argument that it does not accept; the message says which it
accepts.
"""

_FORM = re.compile(r"(?P<name>\w[\w-]*)(:(?P<argument>.+?))?(?P<vad>@vad)?")


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step as it is written: NAME, NAME:ARGUMENT, and either with @vad."""

    name: str
    argument: str = ""
    vad_only: bool = False  # only the VAD hears the result

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a step.

        Raises:
            SettingError: it has another form.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise SettingError(
                f"--preprocess contains {printable(text, 40)!r}; a step is NAME or "
                "NAME:ARGUMENT, with @vad at the end for the VAD only"
            )
        return cls(found["name"], found["argument"] or "", found["vad"] is not None)

    def __str__(self) -> str:
        argument = f":{self.argument}" if self.argument else ""
        return f"{self.name}{argument}{'@vad' if self.vad_only else ''}"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step that streams may pass: as written, and the factory that its name stands for."""

    spec: StepSpec
    factory: StepFactory

    def make(self) -> Step:
        """Make the step for one stream. May raise anything: the factory may be a plug-in's."""
        return self.factory(self.spec.argument)
