"""What people see: tables, a bar, a line that changes.

Plain where nobody looks (a pipe, a file, a log), and where rich is not installed.
Answers go to standard output, everything else to standard error.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import TextIO

from ..process import tell
from .plain_screen import Bar, Meter


def bar(total: int, what: str) -> Bar:
    """A bar for total things; enter it to show it."""
    if not _is_rich(sys.stderr):
        return Bar()
    from .rich_screen import RichBar

    return RichBar(total, what)


def meter(hint: str) -> Meter:
    """A level meter; enter it to show it.

    Args:
        hint: shown until there is text.
    """
    if not _is_rich(sys.stderr):
        return Meter()
    from .rich_screen import RichMeter

    return RichMeter(hint)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    if _is_rich(sys.stdout):
        from .rich_screen import print_table

        print_table(columns, rows)
        return
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def say(line: str) -> None:
    """Print one line of an answer, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """Tell something beside the answer."""
    tell(line)


def _is_rich(stream: TextIO) -> bool:
    return stream.isatty() and importlib.util.find_spec("rich") is not None
