"""The commands' entry points, and their exit statuses.

0    success
1    failure: no server, no model, no transcript
2    usage error
130  interrupted
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import ServerError, SettingError
from ..process import allow_many_files, exit_on_stop_signals, open_stderr, tell

_LOGGER = logging.getLogger(__name__)

_OWN_FILES = 32  # open files of the server besides connections; it has about 10 when idle


def serve(argv: Sequence[str] | None = None) -> int:
    """Run the server: python -m wyoming_faster_whisper."""
    open_stderr()
    exit_on_stop_signals()
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["export-triton"]:
        return _export_triton(argv[1:])
    status = _serve(argv)
    if threading.active_count() > 1:
        # A decode or a download still runs in a thread that cannot be stopped. A normal exit
        # would wait for the thread, or shut the interpreter down under it and crash.
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            # It is closed if the server used stdio:// or if the pipe's reader closed it.
            with contextlib.suppress(ValueError, OSError, AttributeError):
                stream.flush()
        os._exit(status)
    return status


def _serve(argv: Sequence[str]) -> int:
    # Each command imports only what it needs: the client's users wait for its start.
    import asyncio

    from ..app.log import JsonFormatter
    from ..config.load import default_data_dir, read_settings
    from ..hardware import is_arm, share_one_heap
    from ..process_limits import be_nice, parse_cores, use_cores

    fail = _fail
    try:
        if argv[:1] == ["export-web"]:
            from .export_web import main

            return main(argv[1:], os.environ)
        given = read_settings(argv, os.environ)
        settings = given.settings
        logging.basicConfig(
            level=logging.DEBUG if settings.debug else logging.INFO,
            format=settings.log_format,
            stream=sys.stderr,  # with stdio:// standard output carries events
        )
        if settings.log_json:
            logging.getLogger().handlers[0].setFormatter(JsonFormatter())
            fail = _log_failure
        for warning in given.warnings:
            _LOGGER.warning("%s", warning)
        room = max(1, allow_many_files() - _OWN_FILES)
        if settings.max_connections > room:
            # Else accept() fails before a client can be refused, or an idle one evicted.
            _LOGGER.warning(
                "the limit of open files leaves room for %d connections, which is less than "
                "--max-connections; raise the limit (ulimit -n, LimitNOFILE=)",
                room,
            )
            settings = replace(settings, max_connections=room)
        # Before the first thread is started.
        if settings.cpu_affinity is not None:
            use_cores(parse_cores(settings.cpu_affinity))
        if settings.nice is not None:
            be_nice(settings.nice)
        # NumPy's BLAS threads keep spinning for 0.1 s after a spectrogram and take CPU time from
        # the decoder. This must be set before NumPy is imported, which happens below.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        if not is_arm():
            # CTranslate2's threads wait for each other: let them spin for 20 us, then sleep.
            # libgomp's default is to spin for 6 ms, which is lost at every step while another
            # process uses a core. With more threads than cores it hardly spins at all, unless
            # the policy is "active". On ARM the same count takes too short a time.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
            os.environ.setdefault("OMP_WAIT_POLICY", "active")
        share_one_heap()
        from ..app.service import serve as run

        # Not asyncio.run(), which at the end waits for the threads of its pool.
        loop = asyncio.new_event_loop()
        loop.run_until_complete(run(settings, default_data_dir=default_data_dir(os.environ)))
    except SettingError as error:
        return fail(error, 2)
    except ServerError as error:
        return fail(error, 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


def _export_triton(argv: Sequence[str]) -> int:
    from .export_triton import main

    def export() -> int:
        print(main(argv, os.environ))  # noqa: T201
        return 0

    return _status(export)


def client(argv: Sequence[str] | None = None) -> int:
    """Run the client: wyoming-faster-whisper-client."""
    open_stderr()
    # The arguments are parsed first: that is quick, and often all there is to do (--help).
    from ..client.options import read

    def run() -> int:
        wanted = read(argv)
        from ..client.command import perform

        return perform(wanted)

    return _status(run)


def doctor(argv: Sequence[str] | None = None) -> int:
    """Run the doctor: wyoming-faster-whisper-doctor."""
    open_stderr()
    from .doctor.command import main

    return _status(lambda: main(sys.argv[1:] if argv is None else argv, os.environ))


def _status(run: Callable[[], int]) -> int:
    """Run a command; return its exit status, or that of its error."""
    try:
        return run()
    except SettingError as error:
        return _fail(error, 2)
    except ServerError as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return 130


def _fail(error: Exception, status: int) -> int:
    tell(f"error: {error}")
    return status


def _log_failure(error: Exception, status: int) -> int:
    _LOGGER.error("%s", error)
    return status
