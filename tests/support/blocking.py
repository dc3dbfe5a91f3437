"""BlockBuster, in the test process and in the server processes that tests start.

The server catches unexpected exceptions, so an error alone may go unnoticed. Every blocking call
is therefore also written to a file, and the test fails if the file is not empty.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import blockbuster.blockbuster as library
from blockbuster import BlockBuster, BlockingError

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(__file__).with_name("site")
"""Folder with a sitecustomize.py: a Python process that has it in PYTHONPATH is checked."""

REPORT = "BLOCKING_CALLS"
"""Environment variable that names the file of the blocking calls."""

_STACK = 12  # innermost calls in the report


class _ReportedError(BlockingError):
    """Blocking call that is reported even if the code under test catches the error."""

    def __init__(self, function: str) -> None:
        super().__init__(function)
        stack = "".join(traceback.format_stack(sys._getframe(2), limit=_STACK))
        with suppress(KeyError, OSError), open(os.environ[REPORT], "a") as report:
            report.write(f"{self} in {' '.join(sys.argv)}\n{stack}\n")


def block_buster() -> BlockBuster:
    """Return a BlockBuster that raises on blocking calls of the server in the event loop."""
    library.BlockingError = _ReportedError  # type: ignore[assignment, misc]
    package = ModuleType("wyoming_faster_whisper")  # not imported: a test may block that import
    package.__path__ = [str(ROOT / "wyoming_faster_whisper")]
    buster = BlockBuster(package)
    # /proc is read from memory, and pytest writes the log to /dev/null.
    read = buster.functions["io.TextIOWrapper.read"]
    read.can_block_in("wyoming_faster_whisper/hardware.py", {"bytes_moved", "resident_memory"})
    # FastAPI finds the source of each endpoint once, at its first request.
    for function in buster.functions.values():
        function.can_block_in("fastapi/routing.py", {"_extract_endpoint_context"})
    for write in ("io.TextIOWrapper.write", "io.BufferedWriter.write"):
        buster.functions[write].can_block_in("logging/__init__.py", {"emit"})
    return buster
