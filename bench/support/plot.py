"""Plots of the benchmarks; the only file that imports matplotlib."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SOONEST = 0.001  # seconds; smaller values are drawn here, as a log axis has no 0
_LATEST = 30.0  # seconds
_WIDTH = 0.8  # of a group of bars, as a share of its space


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram of a plot."""

    title: str
    unit: str
    labels: Sequence[str]  # on the x axis
    series: Mapping[str, Sequence[float | None]]  # by name: a value per label, None = no bar
    stacked: bool = False  # the series are parts of a whole


@dataclass(frozen=True, slots=True)
class Curves:
    """One diagram of cumulative distributions: the share of values at or below x."""

    title: str
    quantity: str  # label of the x axis, in seconds
    series: Mapping[str, Sequence[float]]  # by name: values in seconds


@dataclass(frozen=True, slots=True)
class Lines:
    """One diagram of curves over a common x axis."""

    title: str
    x: str  # label of the x axis
    y: str  # label of the y axis
    at: Sequence[float]  # the x values
    series: Mapping[str, Sequence[float | None]]  # by name: a value per x value
    most: float  # the y axis ends here


def check_plotting() -> None:
    """Exit at once if matplotlib is missing, instead of after an hour of measuring."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        sys.exit("--plot needs matplotlib: pip install '.[bench]'")


def bars(title: str, panels: Sequence[Panel], path: Path) -> None:
    """Draw the panels side by side, two in a row, into one PNG."""
    _figure(title, [partial(_draw, panel) for panel in panels], path)


def distributions(title: str, curves: Sequence[Curves], path: Path) -> None:
    """Draw the curves side by side, two in a row, into one PNG."""
    _figure(title, [partial(_draw_curves, each) for each in curves], path)


def lines(title: str, panels: Sequence[Lines], path: Path) -> None:
    """Draw the panels side by side, two in a row, into one PNG."""
    _figure(title, [partial(_draw_lines, panel) for panel in panels], path)


def _figure(title: str, draw: "Sequence[Callable[[Axes], None]]", path: Path) -> None:
    # Not pyplot: it keeps all figures in memory and looks for a display.
    from matplotlib.figure import Figure

    columns = min(2, len(draw))
    rows = -(-len(draw) // columns)
    figure = Figure(figsize=(6.5 * columns, 3.6 * rows), layout="constrained")
    figure.suptitle(title)
    for number, into in enumerate(draw, start=1):
        into(figure.add_subplot(rows, columns, number))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png")


def _draw_lines(panel: Lines, axes: "Axes") -> None:
    for number, (name, values) in enumerate(panel.series.items()):
        seen = [math.nan if value is None else value for value in values]
        axes.plot(panel.at, seen, label=name, color=f"C{number}", marker=".")
    axes.set_ylim(0, panel.most)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_curves(curves: Curves, axes: "Axes") -> None:
    for number, (name, values) in enumerate(curves.series.items()):
        if values:
            seen = [max(value, _SOONEST) for value in values]
            axes.ecdf(seen, label=name, color=f"C{number}")
    axes.set_xscale("log")
    axes.set_xlim(_SOONEST, _LATEST)
    axes.set_ylim(0, 1)
    axes.set_title(curves.title)
    axes.set_xlabel(f"{curves.quantity}, seconds")
    axes.set_ylabel("share of the utterances")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _draw(panel: Panel, axes: "Axes") -> None:
    width = _WIDTH if panel.stacked else _WIDTH / max(1, len(panel.series))
    below = [0.0] * len(panel.labels)
    for number, (name, values) in enumerate(panel.series.items()):
        shift = 0.0 if panel.stacked else (number - (len(panel.series) - 1) / 2) * width
        heights = [value or 0.0 for value in values]
        places = [place + shift for place in range(len(panel.labels))]
        axes.bar(places, heights, width, bottom=below if panel.stacked else None, label=name)
        if panel.stacked:
            below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.set_title(panel.title)
    axes.set_ylabel(panel.unit)
    axes.set_xticks(range(len(panel.labels)), panel.labels)
    axes.tick_params(axis="x", labelrotation=20 if len(panel.labels) > 4 else 0)
    # Keep a single bar from filling the diagram.
    middle, reach = (len(panel.labels) - 1) / 2, max(1.5, len(panel.labels) / 2)
    axes.set_xlim(middle - reach, middle + reach)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    if len(panel.series) > 1:
        axes.legend(fontsize="small")
