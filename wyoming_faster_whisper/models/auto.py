"""--model auto: choose the most accurate model that this machine can run fast enough. Pure.

Of Whisper's sizes that is the largest. Moonshine counts where English is the default language and
its model is on this machine; accuracy.json says which of Whisper's sizes it beats.

A model is fast enough if it fits into memory and decodes a typical command within the
silence that Home Assistant waits for anyway. The server measures the decode time of its
model at warm-up and stores it for the next start. The decode times of other sizes are
estimated from it. Until something has been measured, the choice is the reference server's:
tiny on ARM, small on a GPU, base otherwise.

A warm-up can be slow just because the machine was busy. Three rules guard against that:

- A time over the limit is stored only if it was measured while the server was idle
  (app/loading.py).
- Of the times measured within a week, the fastest is kept.
- A time over the limit counts for a week. After that the size is tried and measured again,
  unless the estimate from other sizes is far over the limit. Until then a smaller model
  serves, and is measured as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

BUDGET = 0.45
"""Limit for decoding a typical command, in seconds: the 0.7 s of silence that Home Assistant
waits for, less a margin."""

BELIEVED_DAYS = 7
"""Days for which a measured time counts.

The machine may have been busy when it was measured, or upgraded since.
"""

_TIE = 0.01  # share of accepted orders; a smaller difference is chance, with 360 orders
_NEVER_FAST_ENOUGH = 2.0  # times BUDGET; a size estimated to be slower is not tried again
_SLOW = 0.3  # seconds for a typical command on one thread; if slower, all threads share a decode
_LIGHT = ("tiny", "base", "moonshine-tiny-en", "moonshine-base-en")
_SHARED = 0.8  # exponent of the speed-up by threads: two threads are 1.7 times as fast
_ROOM = 60.0  # MB that other processes may allocate between the choice and the load


@dataclass(frozen=True, slots=True)
class Size:
    """A size of Whisper model, or a model of another family, with what it costs."""

    name: str
    cost: float  # decode time relative to base, from the numbers of parameters and layers
    file: float  # MB of model.bin, as float16
    download: float  # MB to download, quantised to int8
    memory: float = 0.0  # MB at the peak of loading; 0 = estimated from the file
    english: bool = False  # it knows only English, and is never downloaded

    def needs(self, compute_type: str) -> float:
        """Return how many MB must be available for the size to be chosen."""
        return (self.memory or memory_needed(self.file, compute_type)) + _ROOM


WHISPER = (
    Size("tiny", 0.5, 76, 42),
    Size("base", 1.0, 145, 80),
    Size("small", 3.3, 484, 250),
    Size("medium", 10.0, 1528, 785),
)
MOONSHINE = Size("moonshine-base-en", 0.6, 61, float("inf"), memory=270, english=True)


def by_accuracy(accepted: Mapping[str, float]) -> tuple[Size, ...]:
    """Return all sizes, the least accurate first.

    Args:
        accepted: share of accepted orders by name. Whisper's larger sizes count as more accurate
            than the smaller ones, measured or not. In a tie Moonshine counts as more accurate: it
            makes half the word errors of tiny.en in read sentences.
    """
    tied = accepted[MOONSHINE.name] + _TIE
    beaten = [size for size in WHISPER if accepted.get(size.name, 1.0) < tied]
    at = len(beaten) and 1 + WHISPER.index(beaten[-1])
    return (*WHISPER[:at], MOONSHINE, *WHISPER[at:])


SIZES = by_accuracy(
    json.loads((resources.files(__package__) / "accuracy.json").read_text("utf-8"))["accepted"]
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measured decode time of a model on this machine."""

    seconds: float  # decode time of a typical command
    threads: int  # threads that decoded it together
    age: float = field(default=0.0, compare=False)  # days since the measurement
    batch: int = 0  # commands per batch that were chosen; 0 = not measured
    long_batch: int = 0  # jobs of 30 s per batch

    @property
    def outdated(self) -> bool:
        """True for a time over the limit that is too old to count."""
        return self.seconds > BUDGET and self.age > BELIEVED_DAYS


@dataclass(frozen=True, slots=True)
class Machine:
    """The properties of a machine that the choice depends on."""

    memory: float  # MB available
    arm: bool = False
    gpu: bool = False
    compute_type: str = "default"  # as in --compute-type


@dataclass(frozen=True, slots=True)
class Choice:
    """The name of the chosen model, and the reason for the log."""

    name: str
    reason: str


def choose(
    machine: Machine,
    *,
    english: bool,
    figures: Mapping[str, Measurement],
    at_hand: Callable[[str], bool],
    download_budget: float,
    sizes: Sequence[Size] = SIZES,
) -> Choice:
    """Choose a model; prefer one that is already on this machine to a download.

    Args:
        english: English is the default language, so English-only models qualify.
        figures: decode times measured on this machine, by size.
        at_hand: tells whether the model of a name is on this machine.
        download_budget: MB that may be downloaded if no model is on this machine.
        sizes: those to choose from, the least accurate first.
    """
    # Moonshine's quantised graphs gain nothing on a GPU, which has time for larger models.
    sizes = [size for size in sizes if not size.english or (english and not machine.gpu)]
    needs = [size.needs(machine.compute_type) for size in sizes]
    fitting = [
        size for size, needed in zip(sizes, needs, strict=True) if needed < machine.memory
    ] or [sizes[0]]
    affordable = [size for size in fitting if _affordable(size, machine, figures)]
    for size in reversed(affordable):
        for name in _names(size, machine, english):
            if at_hand(name):
                return Choice(name, _reason(size, figures, "found locally"))
    # A slow model that is here is better than a download.
    for size in sorted(fitting, key=lambda size: size.cost):
        for name in _names(size, machine, english):
            if at_hand(name):
                return Choice(name, _reason(size, figures, "the fastest model found locally"))
    small_enough = [size for size in affordable if size.download <= download_budget]
    size = (small_enough or [sizes[0]])[-1]
    return Choice(
        _names(size, machine, english)[0],
        _reason(size, figures, "to be downloaded; no suitable model was found locally"),
    )


def expected_seconds(size: Size, figures: Mapping[str, Measurement]) -> float | None:
    """Return the decode time of a typical command in seconds; None if no size was measured.

    A size that was not measured is estimated from one that was, by their costs.
    """
    if size.name in figures:
        return figures[size.name].seconds
    for other in SIZES:
        if other.name in figures:
            return figures[other.name].seconds * size.cost / other.cost
    return None


def memory_needed(file: float, compute_type: str) -> float:
    """Return the peak memory of loading a model on a CPU and decoding with it, in MB.

    Measured with tiny.en and base. During quantisation to int8 both forms of the weights are
    in memory. Most files hold float16, so float32 takes twice the file.

    Args:
        file: size of model.bin in MB.
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
    """Return how many threads decode one utterance; the other threads decode other utterances.

    Threads that share a decode wait for each other: two of them take 0.6 of the time and 1.2
    times the CPU time of one, and any load on either core delays both. That pays off when the
    speaker waits for the decode, and on a slow machine. Otherwise one thread finishes during
    the silence that ends the turn.

    Args:
        size: size of the model; a decode with a larger size than base uses all threads.
        threads: threads that are available.
        arm: the machine is an ARM, which counts as slow until it has been measured.
        figures: decode times measured on this machine, by size.
        waited_for: end-of-turn detection needs the text (--vad-endpointing auto).
    """
    figure = figures.get(size)
    known = figure is not None or not arm
    slow = figure is not None and figure.seconds * figure.threads**_SHARED > _SLOW
    if slow or not known or size not in _LIGHT:
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
    """Return the names of models of a size, best first.

    The int8 files are smaller. The English-only model comes last because a home may have a
    second language.
    """
    if size.english:
        return [size.name]
    names = [size.name] if machine.gpu else [f"{size.name}-int8", size.name]
    return [*names, f"{size.name}.en"] if english else names


def _reason(size: Size, figures: Mapping[str, Measurement], where: str) -> str:
    seconds = expected_seconds(size, figures)
    if seconds is None:
        return f"{where}; not measured on this machine yet"
    if size.name in figures and figures[size.name].outdated:
        return (
            f"{where}; tried again because its {seconds:.2f} s were measured more than "
            f"{BELIEVED_DAYS} days ago"
        )
    how = "measured" if size.name in figures else "estimated"
    return f"{where}; {how} {seconds:.2f} s for a typical command, limit {BUDGET} s"
