"""The addresses that a server has beside its own: the page, and the metrics.

What they need is imported here, when an operator asks for them: both come with an
extra that others do not install.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..engine.queue import Worker
from ..errors import SettingError
from ..models import Model
from ..session.session import Shared
from ..transports.admission import Door
from ..transports.lifecycle import Limits

if TYPE_CHECKING:
    from ..transports.http.page_server import Web
    from ..transports.http.server import HttpServer
    from .metrics import Metrics


def make_web(
    shared: Shared,
    model: Model,
    *,
    names: tuple[str, ...],
    limits: Limits,
    door: Door,
    tls: ssl.SSLContext | None,
) -> Web:
    """Make the page. Blocking: it imports, and reads files.

    Args:
        names: by which browsers may reach it, beside localhost and the machine's own.

    Raises:
        SettingError: the extra is not installed.
    """
    try:
        from ..transports.http.page import About
        from ..transports.http.page_server import Web
    except ImportError as error:
        raise _missing("--web-port", error, "http") from None
    own = socket.gethostname()
    return Web(
        shared,
        limits,
        About(model.name, model.languages, lambda: shared.worker.statistics().ready),
        names=(own, f"{own}.local", *names),
        door=door,
        tls=tls,
    )


def make_metrics(
    worker: Worker,
    *,
    sessions: Callable[[], dict[str, int]],
    model_memory: Callable[[], int],
    patience: float,
    door: Door,
) -> tuple[Metrics, HttpServer]:
    """Make what counts, and what tells it. Blocking: it imports.

    Args:
        sessions: clients that are connected, by transport.
        model_memory: bytes that loading the model took.
        patience: seconds for a whole request.
        door: whom it lets in, as the Wyoming port does.

    Raises:
        SettingError: the extra is not installed.
    """
    try:
        from ..transports.http.health import build_health
        from ..transports.http.server import HttpServer
        from .metrics import CONTENT_TYPE_LATEST, Metrics, Now
    except ImportError as error:
        raise _missing("--metrics-port", error, "metrics") from None
    metrics = Metrics()

    def look() -> Callable[[], bytes]:
        seen = worker.statistics()
        now = Now(
            ready=seen.ready,
            waiting=seen.waiting,
            decoding=seen.decoding,
            model_memory=model_memory(),
            sessions=sessions(),
            batches=seen.batches,
        )
        return partial(metrics.render, now)

    app = build_health(look, CONTENT_TYPE_LATEST, lambda: worker.statistics().ready)
    return metrics, HttpServer(app, option="--metrics-port", patience=patience, door=door)


def _missing(option: str, error: ImportError, extra: str) -> SettingError:
    return SettingError(
        f"{option} needs {error.name}: pip install 'wyoming-faster-whisper[{extra}]'"
    )
