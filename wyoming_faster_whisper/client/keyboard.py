"""Single key presses, if standard input is a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[bool]:
    """Call pressed(key) in the event loop for each key until the block ends.

    Yields True if there is a keyboard. Control-C still interrupts.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield False
        return
    # Opened again: O_NONBLOCK on standard input would also apply to standard output, which is
    # often the same terminal.
    name = os.ttyname(sys.stdin.fileno())
    keyboard = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    before = termios.tcgetattr(keyboard)
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            typed = os.read(keyboard, 64)
        except OSError:
            typed = b""
        if not typed:  # the terminal is gone
            loop.remove_reader(keyboard)
        for key in typed.decode(errors="replace"):
            pressed(key)

    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, read)
    try:
        yield True
    finally:
        loop.remove_reader(keyboard)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        os.close(keyboard)
