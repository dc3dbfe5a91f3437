"""Terminal output: tables, a progress bar, a level meter.

Output is plain if it does not go to a terminal (pipe, file, log) or if rich is not installed.
Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import TextIO

from ..process import tell
from .plain_screen import Bar, Meter


def bar(total: int, what: str) -> Bar:
    """Return a progress bar for total items; it is shown while it is entered.

    Args:
        what: the label.
    """
    if not _is_rich(sys.stderr):
        return Bar()
    from .rich_screen import RichBar

    return RichBar(total, what)


def meter(hint: str) -> Meter:
    """Return a level meter; it is shown while it is entered.

    Args:
        hint: shown until there is text.
    """
    if not _is_rich(sys.stderr):
        return Meter()
    from .rich_screen import RichMeter

    return RichMeter(hint)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output."""
    if _is_rich(sys.stdout):
        from .rich_screen import print_table

        print_table(columns, rows)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def say(line: str) -> None:
    """Print one line of the result, unbuffered."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Print one line to standard error."""
    tell(line)


def _is_rich(stream: TextIO) -> bool:
    return stream.isatty() and importlib.util.find_spec("rich") is not None
