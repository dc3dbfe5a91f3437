"""Registry of preprocessing steps: finds and makes the steps of --preprocess.

Three steps are built in. Other steps come from installed packages, which offer them by entry
points in the group GROUP: the name of the step, and its factory (audio/steps.py).
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points

from ..audio.denoise import PACKAGE, denoise
from ..audio.gain import gain
from ..audio.highpass import high_pass
from ..audio.preprocess import HIGH_PASS, Preprocessing
from ..audio.steps import LONGEST_DELAY, PlannedStep, StepFactory, StepSpec
from ..errors import SettingError

GROUP = "wyoming_faster_whisper.audio"

BUILT_IN: Mapping[str, StepFactory] = {HIGH_PASS: high_pass, "gain": gain, "denoise": denoise}

# What OpenAI's realtime API calls noise_reduction: near_field for headsets, far_field for
# microphones in a room. Only the VAD hears the suppression, and at the lowest level, because it
# costs words before Whisper and speech before the VAD (docs/preprocessing.md).
PROFILES = {"near_field": ("denoise:1@vad",), "far_field": ("gain", "denoise:1@vad")}


def make_preprocessing(wanted: Sequence[str]) -> Preprocessing:
    """Find the steps of --preprocess and make each once, to check its argument.

    Blocking: it imports the steps' modules, and reads the metadata of all installed packages if a
    step is not built in.

    Args:
        wanted: the steps as written, in order.

    Raises:
        SettingError: there is no such step, or it cannot be used.
    """
    steps = tuple(_plan(text) for text in wanted)
    for step in steps:
        _try(step)
    return Preprocessing(steps, _profiles(), time.perf_counter)


def _profiles() -> dict[str, tuple[PlannedStep, ...]]:
    """Return the profiles, whose steps are only imported once a request names one."""
    if importlib.util.find_spec(PACKAGE) is None:
        return {}
    return {name: tuple(map(_plan, texts)) for name, texts in PROFILES.items()}


def _plan(text: str) -> PlannedStep:
    """Find the factory of a step.

    Raises:
        SettingError: there is no such step, or it cannot be imported.
    """
    spec = StepSpec.parse(text)
    if spec.name in BUILT_IN:
        return PlannedStep(spec, BUILT_IN[spec.name])
    installed = {found.name: found for found in entry_points(group=GROUP)}
    if spec.name not in installed:
        known = ", ".join(sorted({*BUILT_IN, *installed}))
        raise SettingError(
            f"--preprocess names {spec.name!r}, which is not installed; there are {known}"
        )
    try:
        return PlannedStep(spec, installed[spec.name].load())
    except (ImportError, AttributeError) as error:
        raise SettingError(f"--preprocess {spec} cannot be imported: {error}") from error


def _try(planned: PlannedStep) -> None:
    """Make a step once.

    Raises:
        SettingError: its factory raises, or its delay is out of range.
    """
    try:
        delay = planned.make().delay
    except SettingError as error:
        raise SettingError(f"--preprocess {planned.spec}: {error}") from error
    except Exception as error:
        text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise SettingError(f"--preprocess {planned.spec}: {text}") from error
    if not (isinstance(delay, int) and 0 <= delay <= LONGEST_DELAY):
        raise SettingError(
            f"--preprocess {planned.spec} has a delay of {delay!r} samples; it must be 0 to "
            f"{LONGEST_DELAY}"
        )
