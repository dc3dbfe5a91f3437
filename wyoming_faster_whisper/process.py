"""First steps of the commands: stop signals, a usable standard error, enough open files.

Imports next to nothing, so that it can run before the slow imports.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

_MOST_FILES = 65_536


def stop_signals() -> list[signal.Signals]:
    """Return the signals that stop the server; without SIGHUP under nohup."""
    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


def exit_on_stop_signals() -> None:
    """Exit with status 0 on a stop signal until the server installs its own handlers.

    Python's default exit status is 143, which the Home Assistant Supervisor reports as a crash.
    """
    for number in stop_signals():
        # Not SystemExit: the code of an interrupted import may catch it.
        signal.signal(number, lambda *_: os._exit(0))


def open_stderr() -> None:
    """Open /dev/null as standard error if that is closed.

    Otherwise the next file to be opened gets descriptor 2, and the errors that libraries print.
    """
    if sys.stderr is None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        if null != 2:
            os.close(null)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def allow_many_files() -> int:
    """Raise the limit of open files as far as is useful: each connection takes one.

    The usual limit of 1024 is there for programs that use select().

    Returns:
        The number of files that may be open now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY:
        return _MOST_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def tell(line: str) -> None:
    """Write a line to standard error; a failed write is ignored."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        # The disk is full, or the pipe's reader has gone. Only the exit status is left to report
        # the error, and Python would change it when its flush at exit fails.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
