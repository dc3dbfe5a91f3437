"""What a command does first: signals that end it, and a standard error to write to.

Imports next to nothing, so that it can run before the imports that take time.
"""

from __future__ import annotations

import os
import signal
import sys


def stop_signals() -> list[signal.Signals]:
    """Return the signals that ask the server to end; SIGHUP is not one of them under nohup."""
    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


def exit_on_stop_signals() -> None:
    """Exit with status 0 on a stop signal until the server installs its own handlers.

    Python's default exit status is 143, which the Home Assistant Supervisor reports as a crash.
    """
    for number in stop_signals():
        # Not SystemExit: an import that is interrupted may catch it.
        signal.signal(number, lambda *_: os._exit(0))


def open_stderr() -> None:
    """Open /dev/null as standard error where that is closed.

    Otherwise the next file that is opened gets its number, and what libraries print there.
    """
    if sys.stderr is None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        if null != 2:
            os.close(null)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def tell(line: str) -> None:
    """Write a line to standard error, if that can be written to."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        # A full disk, or a pipe whose reader has gone. The exit status is the message now, and
        # Python would change that when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
