"""--model auto: the best model that this machine can afford. Pure.

Best is largest. Affordable is what fits into memory and decodes a usual command
within the silence that Home Assistant waits for anyway. How long a model takes
is measured at its warm-up and remembered for the next start; from one model's
figure those of the others follow roughly. A machine of which nothing is known
gets the reference server's choice: tiny on ARM, base elsewhere, small on a GPU.

A warm-up may be slow because the machine was busy. So a figure that is too slow is kept
only from a measurement while the server was idle (loading.py), the best figure of a week is
kept, and one that is too slow is believed for a week: then its size is tried, and
measured, again, unless the figures of others say that it is hopeless. A start between
the two takes a smaller model, which is measured as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

BUDGET = 0.45
"""Seconds for a usual command: of the 0.7 s that Home Assistant waits, less room to be late."""

BELIEVED_DAYS = 7
"""How long a figure stands, against a better machine and against a busy hour."""

_NEVER_FAST_ENOUGH = 2.0  # times BUDGET
_SLOW = 0.3  # seconds that one thread may take alone
_SHARED = 0.8  # exponent of the speed that threads have together: two are 1.7 times as fast
_ROOM = 60.0  # MB that others may take between the choice and the load


@dataclass(frozen=True, slots=True)
class Size:
    """A size of Whisper's."""

    name: str
    cost: float  # seconds of a decode, relative to base; by parameters and layers
    file: float  # MB of model.bin, as float16
    download: float  # MB, quantised before upload

    def needs(self, compute_type: str) -> float:
        """MB that must be available for it to be chosen."""
        return memory_needed(self.file, compute_type) + _ROOM


SIZES = (
    Size("tiny", 0.5, 76, 42),
    Size("base", 1.0, 145, 80),
    Size("small", 3.3, 484, 250),
    Size("medium", 10.0, 1528, 785),
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of a model on this machine."""

    seconds: float  # of a usual command
    threads: int  # that decoded it together
    age: float = field(default=0.0, compare=False)  # days since then

    @property
    def outdated(self) -> bool:
        """Too slow, but no longer believed."""
        return self.seconds > BUDGET and self.age > BELIEVED_DAYS


@dataclass(frozen=True, slots=True)
class Machine:
    """What the choice depends on."""

    memory: float  # MB available
    arm: bool = False
    gpu: bool = False
    compute_type: str = "default"  # as in --compute-type


@dataclass(frozen=True, slots=True)
class Choice:
    """A model's name, and the sentence that says why."""

    name: str
    reason: str


def choose(
    machine: Machine,
    *,
    english: bool,
    figures: Mapping[str, Measurement],
    at_hand: Callable[[str], bool],
    download_budget: float,
) -> Choice:
    """Choose a model.

    Args:
        english: English is the default language, so an English-only model will do.
        figures: what was measured on this machine, by size.
        at_hand: says whether a model of that name is here already.
        download_budget: MB that may be downloaded where none is at hand.
    """
    needs = [size.needs(machine.compute_type) for size in SIZES]
    fitting = [
        size for size, needed in zip(SIZES, needs, strict=True) if needed < machine.memory
    ] or [SIZES[0]]
    affordable = [size for size in fitting if _affordable(size, machine, figures)]
    for size in reversed(affordable):
        for name in _names(size, machine, english):
            if at_hand(name):
                return Choice(name, _reason(size, figures, "at hand"))
    # Rather one that is too slow than none.
    for size in fitting:
        for name in _names(size, machine, english):
            if at_hand(name):
                return Choice(name, _reason(size, figures, "at hand, nothing faster is"))
    small_enough = [size for size in affordable if size.download <= download_budget]
    size = (small_enough or [SIZES[0]])[-1]
    return Choice(
        _names(size, machine, english)[0],
        _reason(size, figures, "to be downloaded, none is here"),
    )


def expected_seconds(size: Size, figures: Mapping[str, Measurement]) -> float | None:
    """Seconds of a usual command, measured or by another size's figure."""
    if size.name in figures:
        return figures[size.name].seconds
    for other in SIZES:
        if other.name in figures:
            return figures[other.name].seconds * size.cost / other.cost
    return None


def memory_needed(file: float, compute_type: str) -> float:
    """MB that loading a model on a CPU and decoding with it take at most.

    Measured with tiny.en and base: while weights are turned into int8 both forms are there,
    and float32 is twice what most files have.

    Args:
        file: MB of model.bin.
        compute_type: as in --compute-type.
    """
    if compute_type in ("default", "auto") or compute_type.startswith("int8"):
        return 1.55 * file + 60
    return 2 * file + 165


def threads_together(
    size: str,
    threads: int,
    *,
    arm: bool,
    figures: Mapping[str, Measurement],
    waited_for: bool = False,
) -> int:
    """How many threads should decode one utterance together; the rest serve others meanwhile.

    Threads that work together wait for each other: two of them decode a command in 0.6 of the
    time and in 1.2 times the CPU time, and what else uses their cores delays both. That is worth
    it where a speaker waits for it, and needed on a slow machine. Elsewhere the decode is done
    in the silence that ends the turn.

    Args:
        size: of the model.
        threads: that there are.
        waited_for: the text decides on the end of the turn.
    """
    figure = figures.get(size)
    known = figure is not None or not arm
    slow = figure is not None and figure.seconds * figure.threads**_SHARED > _SLOW
    if slow or not known or size not in ("tiny", "base"):
        return threads
    return min(threads, 2 if waited_for else 1)


def _affordable(size: Size, machine: Machine, figures: Mapping[str, Measurement]) -> bool:
    believed = {name: figure for name, figure in figures.items() if not figure.outdated}
    seconds = expected_seconds(size, believed)
    if seconds is not None:
        again = size.name in figures and size.name not in believed
        return seconds <= BUDGET * (_NEVER_FAST_ENOUGH if again else 1.0)
    usual = "small" if machine.gpu else "tiny" if machine.arm else "base"
    return size.cost <= next(other.cost for other in SIZES if other.name == usual)


def _names(size: Size, machine: Machine, english: bool) -> list[str]:
    """Best first: int8 files are smaller; an English-only model if there is nothing else,
    for a home may have a second language."""
    names = [size.name] if machine.gpu else [f"{size.name}-int8", size.name]
    return [*names, f"{size.name}.en"] if english else names


def _reason(size: Size, figures: Mapping[str, Measurement], where: str) -> str:
    seconds = expected_seconds(size, figures)
    if seconds is None:
        return f"{where}; not measured on this machine yet"
    if size.name in figures and figures[size.name].outdated:
        return (
            f"{where}; tried again: its {seconds:.2f} s are from {BELIEVED_DAYS} days ago or more"
        )
    how = "measured" if size.name in figures else "expected"
    return f"{where}; {how} at {seconds:.2f} s for a usual command, {BUDGET} s is the limit"
