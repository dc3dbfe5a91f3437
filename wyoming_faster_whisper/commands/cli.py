"""The commands people type, and the status they end with.

0  done
1  it could not be done: no server, no model, no transcript
2  it was asked for in a way that cannot be served
130  interrupted
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Sequence

from ..errors import ServerError, SettingError
from ..process import exit_on_stop_signals, open_stderr, tell

_LOGGER = logging.getLogger(__name__)


def serve(argv: Sequence[str] | None = None) -> int:
    """Run the server: python -m wyoming_faster_whisper."""
    open_stderr()
    exit_on_stop_signals()
    status = _serve(sys.argv[1:] if argv is None else argv)
    if threading.active_count() > 1:
        # A decode or a download still runs in a thread that cannot be stopped. Python's own
        # end would wait for it, or pull the interpreter away from under it and crash.
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            # Closed where the wire was standard output, or by who read it.
            with contextlib.suppress(ValueError, OSError, AttributeError):
                stream.flush()
        os._exit(status)
    return status


def _serve(argv: Sequence[str]) -> int:
    # Each command imports its own: the client's are typed by people who wait.
    import asyncio

    from ..app.log import JsonFormatter
    from ..config.load import default_data_dir, read_settings
    from ..hardware import is_arm, share_one_heap

    try:
        given = read_settings(argv, os.environ)
        settings = given.settings
        logging.basicConfig(
            level=logging.DEBUG if settings.debug else logging.INFO,
            format=settings.log_format,
            stream=sys.stderr,  # standard output may be the wire
        )
        if settings.log_json:
            logging.getLogger().handlers[0].setFormatter(JsonFormatter())
        for warning in given.warnings:
            _LOGGER.warning("%s", warning)
        # NumPy's BLAS threads go on spinning for 0.1 s after a spectrogram, in the way of the
        # decoder. Must be said before NumPy is imported, which is here.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        if not is_arm():
            # Threads of CTranslate2's that wait for each other look out for 20 us, then sleep.
            # libgomp's own choice is 6 ms, which are lost at every step where somebody else uses
            # a core; and next to nothing once it counts more threads than cores, unless its
            # policy is "active". On ARM the same count is over too soon.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
            os.environ.setdefault("OMP_WAIT_POLICY", "active")
        share_one_heap()
        from ..app.service import serve as run

        # Not asyncio.run(), which waits for threads of its pool at the end.
        loop = asyncio.new_event_loop()
        loop.run_until_complete(run(settings, default_data_dir=default_data_dir(os.environ)))
    except SettingError as error:
        return _fail(error, 2)
    except ServerError as error:
        return _fail(error, 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


def client(argv: Sequence[str] | None = None) -> int:
    """Talk to a server: wyoming-faster-whisper-client."""
    open_stderr()
    # What was typed first: it is quick to read, and often all that is needed.
    from ..client.options import read

    try:
        wanted = read(argv)
        from ..client.command import perform

        return perform(wanted)
    except KeyboardInterrupt:
        return 130


def doctor(argv: Sequence[str] | None = None) -> int:
    """Look at the machine and the server on it: wyoming-faster-whisper-doctor."""
    open_stderr()
    from .doctor.command import main

    try:
        return main(sys.argv[1:] if argv is None else argv, os.environ)
    except SettingError as error:
        return _fail(error, 2)
    except ServerError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return 130


def _fail(error: Exception, status: int) -> int:
    tell(f"error: {error}")
    return status
