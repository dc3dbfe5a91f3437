"""Terminal output in colour. The only file that imports rich (extra "client")."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from .plain_screen import Bar, Meter

_BLOCKS = " ▁▂▃▄▅▆▇█"
_CELLS = 10  # of the level meter


class RichBar(Bar):
    """A progress bar on standard error.

    Args:
        total: the number of items.
        what: the label.
    """

    def __init__(self, total: int, what: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # On a terminal, output is printed above the bar; a pipe must get it unchanged.
            redirect_stdout=sys.stdout.isatty(),
            transient=True,
        )
        self._task = self._progress.add_task(what, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, share: float) -> None:
        self._progress.advance(self._task, share)


class RichMeter(Meter):
    """A line on standard error that shows the input level and the text so far.

    Args:
        hint: shown until there is text.
    """

    def __init__(self, hint: str) -> None:
        self._hint = hint
        self._live = Live(
            console=Console(stderr=True),
            refresh_per_second=15,
            redirect_stdout=sys.stdout.isatty(),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, state: str, level: float, text: str) -> None:
        width, height = self._live.console.size
        hint = self._hint if state != "thinking" else ""  # a key has no effect now
        self._live.update(meter_lines(state, level, text, hint, width, height))


def meter_lines(state: str, level: float, text: str, hint: str, width: int, height: int) -> Text:
    """Lay out the meter for the terminal's size; of a long text only the newest words are shown.

    Args:
        width, height: of the terminal, in cells.
    """
    head = Text.assemble((f"{state:<10}", "bold cyan"), (level_bar(level), "green"), " ")
    whole = Text.assemble(head, text or (hint, "dim"))
    console = Console(width=width)
    lines = whole.wrap(console, width)
    room = max(2, height - 1)  # the cursor takes a line of its own
    if len(lines) <= room:
        return whole
    return Text("\n").join([Text.assemble(head, "…"), *lines[1 - room :]])


def level_bar(level: float) -> str:
    """Draw a level of 0 to 1 as a bar of ten cells, which fill from the left by eighths."""
    eighths = round(min(1.0, max(0.0, level)) * 8 * _CELLS)
    return "".join(_BLOCKS[min(8, max(0, eighths - 8 * cell))] for cell in range(_CELLS))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output."""
    shown = Table(header_style="bold cyan")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, row))  # not markup: a server's name may contain brackets
    Console().print(shown)
