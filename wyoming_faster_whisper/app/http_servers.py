"""Build the HTTP servers: one for the API and the web page, one for the metrics.

Their dependencies are optional extras, so they are imported here only when the operator
enables them.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..engine.queue import Worker
from ..errors import SettingError, install_command
from ..session.session import SessionContext
from ..transports.admission import Admission
from ..transports.auth.refusal import Reason
from ..transports.lifecycle import ClientLimits
from . import build
from .authentication import make_authenticator
from .web_export import offline_files

_LOGGER = logging.getLogger(__name__)

if TYPE_CHECKING:
    from ..transports.http.api_server import ApiServer, ApiSettings
    from ..transports.http.connections.server import HttpServer
    from ..transports.http.jobs.webhooks import Webhooks
    from .metrics import Metrics


def make_http(
    shared: SessionContext,
    settings: Settings,
    *,
    folders: Sequence[Path],
    limits: ClientLimits,
    admission: Admission,
    count_refusal: Callable[[Reason], None],
    tls: ssl.SSLContext | None,
) -> ApiServer:
    """Make the server of the API and the web page. Blocking: it imports modules and reads files.

    Args:
        shared: what all sessions share.
        settings: the operator's settings.
        folders: data folders; uploads are kept in a folder inside the first.
        limits: time and size limits for clients.
        admission: admission control, the same as for Wyoming clients.
        count_refusal: called for each client that is not authenticated.
        tls: TLS context; None = plain HTTP.

    Raises:
        SettingError: an extra is not installed, or a setting is not usable.
    """
    try:
        from ..transports.http.api_server import ApiServer
        from ..transports.http.page import ServerDescription

        api_settings = _api_settings(settings, folders[0])
        webhooks = _webhooks(settings)
        offline = offline_files(settings, shared.offer.models[0].name, folders)
    except ImportError as error:
        raise _missing("--http-port", error, "http") from None
    try:
        authenticator = make_authenticator(settings, time.time, shared.tenants)
    except ImportError as error:
        raise _missing("--jwt-issuer", error, "auth") from None
    return ApiServer(
        shared,
        build.files_context(shared, settings),
        limits,
        ServerDescription(
            tuple(shared.offer.models),
            ready=lambda: shared.worker.statistics().ready,
            offline=offline is not None,
        ),
        api_settings,
        offline=offline,
        admission=admission,
        webhooks=webhooks,
        authenticator=authenticator,
        count_refusal=count_refusal,
        tls=tls,
    )


def _api_settings(settings: Settings, folder: Path) -> ApiSettings:
    from ..transports.http.api_server import ApiSettings
    from ..transports.http.files.upload import UploadLimits
    from ..transports.http.jobs.limits import JobLimits

    own = socket.gethostname()
    return ApiSettings(
        names=(own, f"{own}.local", *settings.http_names),
        origins=tuple(origin.rstrip("/") for origin in settings.http_origins),
        any_model=settings.any_model,
        language_codes=settings.language_codes,
        max_files=settings.max_files,
        max_total_files=settings.max_total_files,
        upload=UploadLimits(
            settings.max_upload * 1024 * 1024,
            settings.upload_timeout,
            settings.audio_timeout,
            _upload_folder(folder),
        ),
        jobs=JobLimits(
            number=settings.max_jobs,
            uploads=settings.max_job_uploads * 1024 * 1024,
            results=settings.max_job_results * 1024 * 1024,
            running=settings.max_files,
            running_in_total=settings.max_total_files,
            seconds=settings.job_expiry,
        ),
    )


def _webhooks(settings: Settings) -> Webhooks | None:
    if not settings.webhook_url:
        return None
    from ..transports.http.jobs.webhooks import Webhooks

    assert settings.webhook_secret is not None
    return Webhooks(settings.webhook_url, settings.webhook_secret, now=time.time)


def _upload_folder(folder: Path) -> Path | None:
    """Create the folder for uploads that do not fit into memory; None = the system's."""
    uploads = folder / "tmp"
    try:
        uploads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _LOGGER.warning(
            "%s cannot be created (%s); uploads are kept in the system's temporary folder",
            uploads,
            error.strerror or error,
        )
        return None
    return uploads


def make_metrics(
    worker: Worker,
    *,
    sessions: Callable[[], dict[str, int]],
    model_memory: Callable[[], int],
    gpu_pool: Callable[[], Mapping[str, int]],
    engine_decodes: Callable[[], Mapping[tuple[str, str], int]],
    obstacle: Callable[[], str | None],
    head_seconds: float,
    admission: Admission,
) -> tuple[Metrics, HttpServer]:
    """Make the metrics and the server that exposes them. Blocking: it imports modules.

    Args:
        worker: the worker whose queue is reported.
        sessions: returns the number of connected clients, by transport.
        model_memory: returns the bytes that loading the model took.
        gpu_pool: returns the bytes of CUDA's memory pool, by state.
        engine_decodes: returns the decodes by engine and outcome; {} = there is one engine.
        obstacle: returns why new clients should go elsewhere; None = they can come.
        head_seconds: seconds for the headers of a request to be complete.
        admission: admission control, the same as for Wyoming clients.

    Raises:
        SettingError: the extra is not installed.
    """
    try:
        from ..transports.http.connections.connection import ConnectionRules
        from ..transports.http.connections.server import HttpServer
        from ..transports.http.health import build_health
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
            max_batch={"commands": seen.max_batch, "long": seen.max_long_batch},
            gpu_pool=gpu_pool(),
            engine_decodes=engine_decodes(),
        )
        return partial(metrics.render, now)

    app = build_health(take_snapshot, CONTENT_TYPE_LATEST, obstacle)
    return metrics, HttpServer(
        app,
        options="--metrics",
        rules=ConnectionRules(head=head_seconds),
        admission=admission,
    )


def _missing(option: str, error: ImportError, extra: str) -> SettingError:
    return SettingError(f"{option} needs {error.name}: {install_command(extra)}")
