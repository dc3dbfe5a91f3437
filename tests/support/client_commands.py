"""Runs the commands of the client as separate processes."""

from __future__ import annotations

import sys
from pathlib import Path

from .processes import Ran, run

CALL = "import sys; from wyoming_faster_whisper.commands.cli import client; sys.exit(client())"


async def client(folder: Path, *arguments: str, given: str = "", **environ: str) -> Ran:
    """Run one client command and wait for it; given goes to its standard input."""
    command = (sys.executable, "-c", CALL, *arguments)
    return await run(*command, folder=folder, given=given, **environ)
