"""Output that all benchmarks share: progress, aligned tables, the machine's data."""

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def progress(line: str) -> None:
    """Print progress to stderr: in a terminal, each line replaces the last one."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """Print a line to stderr that progress() does not overwrite."""
    progress("")
    print(line, file=sys.stderr, flush=True)


def align(rows: Sequence[Sequence[str]]) -> str:
    """Format a table: the first column left-aligned, the others right-aligned.

    A row of one cell is a heading and does not widen its column.
    """
    full = [row for row in rows if len(row) > 1]
    widths = [max(len(cell) for cell in column) for column in zip(*full, strict=True)]
    lines = []
    for row in rows:
        if len(row) == 1:
            lines.append(row[0])
            continue
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


Row = tuple[Sequence[float | None], float, str]  # a value per column, their factor, their format


def beside(names: Sequence[str], rows: Iterable[tuple[str, Row | None]]) -> str:
    """Format a table with a row per figure and a column per server.

    With two servers a third column holds the first value divided by the second. A row without
    values is left out; None instead of a row makes its title a heading.
    """
    cells = [["", *names, *(["ratio"] if len(names) == 2 else [])]]
    for title, row in rows:
        if row is None:
            cells.append([title])
            continue
        values, factor, form = row
        if any(value is not None for value in values):
            shown = ["-" if value is None else form.format(value * factor) for value in values]
            cells.append([title, *shown, *([_ratio(*values)] if len(values) == 2 else [])])
    return align(cells)


def _ratio(this: float | None, reference: float | None) -> str:
    return f"{this / reference:.2f}" if this is not None and reference else "-"


@dataclass(frozen=True, slots=True)
class Target:
    """A target for this server, such as a latency; without a value it is not shown."""

    title: str
    value: float | None
    most: float  # limit as stated, for an idle machine
    form: str
    here: float | None = None  # limit scaled to this machine; None = the same
    least: bool = False  # the limit is a minimum instead of a maximum


def against(targets: Iterable[Target]) -> str:
    """Format a table of targets: the value, the limit, and whether it was met.

    Empty if no target has a value.
    """
    rows = [["", "this server", "target", "on this box", ""]]
    for each in targets:
        if each.value is None:
            continue
        here = each.most if each.here is None else each.here
        met = each.value >= here if each.least else each.value <= here
        shown = [each.form.format(value) for value in (each.value, each.most, here)]
        rows.append([each.title, *shown, "met" if met else "missed"])
    return align(rows) if len(rows) > 1 else ""


def percentile(values: Iterable[float], percent: int) -> float | None:
    """Return the smallest value that `percent` percent of the values do not exceed."""
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON, with the machine's data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine()} | report, indent=1) + "\n")


def machine() -> dict[str, Any]:
    return {"processor": _processor(), "cores": os.cpu_count()}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
