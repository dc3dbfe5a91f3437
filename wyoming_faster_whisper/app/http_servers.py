"""Build the HTTP servers for the web page and for the metrics.

Their dependencies are optional extras, so they are imported here only when the operator
enables the page or the metrics.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..engine.queue import Worker
from ..engine.recognizer import ServedModel
from ..errors import SettingError
from ..session.session import SessionContext
from ..transports.admission import Admission
from ..transports.lifecycle import ClientLimits

if TYPE_CHECKING:
    from ..transports.http.page_server import PageServer
    from ..transports.http.server import HttpServer
    from .metrics import Metrics


def make_web(
    shared: SessionContext,
    model: ServedModel,
    *,
    names: tuple[str, ...],
    limits: ClientLimits,
    admission: Admission,
    tls: ssl.SSLContext | None,
) -> PageServer:
    """Make the server of the web page. Blocking: it imports modules and reads files.

    Args:
        shared: what all sessions share.
        model: the model that the page names.
        names: host names that browsers may use, besides localhost and the machine's own name.
        limits: time and size limits for clients.
        admission: admission control, the same as for Wyoming clients.
        tls: TLS context; None = plain HTTP.

    Raises:
        SettingError: the extra is not installed.
    """
    try:
        from ..transports.http.page import ServerDescription
        from ..transports.http.page_server import PageServer
    except ImportError as error:
        raise _missing("--web-port", error, "http") from None
    own = socket.gethostname()
    return PageServer(
        shared,
        limits,
        ServerDescription(
            model.name,
            model.languages,
            streams=shared.offer.capabilities.continues_prefix,
            ready=lambda: shared.worker.statistics().ready,
        ),
        names=(own, f"{own}.local", *names),
        admission=admission,
        tls=tls,
    )


def make_metrics(
    worker: Worker,
    *,
    sessions: Callable[[], dict[str, int]],
    model_memory: Callable[[], int],
    request_timeout: float,
    admission: Admission,
) -> tuple[Metrics, HttpServer]:
    """Make the metrics and the server that exposes them. Blocking: it imports modules.

    Args:
        worker: the worker whose queue is reported.
        sessions: returns the number of connected clients, by transport.
        model_memory: returns the bytes that loading the model took.
        request_timeout: timeout for a whole request in seconds.
        admission: admission control, the same as for Wyoming clients.

    Raises:
        SettingError: the extra is not installed.
    """
    try:
        from ..transports.http.health import build_health
        from ..transports.http.server import HttpServer
        from .metrics import CONTENT_TYPE_LATEST, Metrics, Snapshot
    except ImportError as error:
        raise _missing("--metrics-port", error, "metrics") from None
    metrics = Metrics()

    def take_snapshot() -> Callable[[], bytes]:
        seen = worker.statistics()
        now = Snapshot(
            ready=seen.ready,
            waiting=seen.waiting,
            decoding=seen.decoding,
            model_memory=model_memory(),
            sessions=sessions(),
            batches=seen.batches,
        )
        return partial(metrics.render, now)

    app = build_health(take_snapshot, CONTENT_TYPE_LATEST, lambda: worker.statistics().ready)
    return metrics, HttpServer(
        app, option="--metrics-port", request_timeout=request_timeout, admission=admission
    )


def _missing(option: str, error: ImportError, extra: str) -> SettingError:
    return SettingError(
        f"{option} needs {error.name}: pip install 'wyoming-faster-whisper[{extra}]'"
    )
