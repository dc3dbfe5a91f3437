"""The plots of the benchmarks; the only file that knows matplotlib."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 0.8  # of a group of bars, of the space that it has


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram of a plot."""

    title: str
    unit: str
    labels: Sequence[str]  # along the bottom
    series: Mapping[str, Sequence[float | None]]  # name: a value per label, None = no bar
    stacked: bool = False  # the series are parts of a whole


def check_plotting() -> None:
    """End now, not after an hour, where no plot can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        sys.exit("--plot needs matplotlib: pip install '.[bench]'")


def bars(title: str, panels: Sequence[Panel], path: Path) -> None:
    """Draw the panels side by side, two in a row, into one PNG."""
    # Not pyplot: it keeps every figure, and looks for a display.
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.5 * columns, 3.6 * rows), layout="constrained")
    figure.suptitle(title)
    for number, panel in enumerate(panels, start=1):
        _draw(figure.add_subplot(rows, columns, number), panel)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, format="png")


def _draw(axes: "Axes", panel: Panel) -> None:
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
    # A lone bar is not to be as wide as the diagram.
    middle, reach = (len(panel.labels) - 1) / 2, max(1.5, len(panel.labels) / 2)
    axes.set_xlim(middle - reach, middle + reach)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    if len(panel.series) > 1:
        axes.legend(fontsize="small")
