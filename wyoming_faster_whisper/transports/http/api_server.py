"""Server of the API, the web page and its WebSocket, on one address."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.types import ASGIApp

from ...session.session import SessionContext
from ..admission import Admission
from ..auth.authenticator import Authenticator
from ..auth.refusal import Reason
from ..lifecycle import ClientLimits
from . import asr, openai
from .app import build_app
from .authentication import Authentication
from .catalogue import Catalogue
from .connections.connection import ConnectionRules
from .connections.server import HttpServer
from .credentials import known_already
from .files.formats import render
from .files.in_flight import FilesInFlight, seconds_until_free
from .files.transcriber import FileTranscriber
from .files.upload import UploadLimits
from .jobs.background import Background
from .jobs.jobs import Jobs
from .jobs.limits import JobLimits
from .jobs.routes import job_routes
from .offline import OfflineFiles
from .origin_check import OriginCheck
from .page import ServerDescription, page_routes
from .realtime.routes import Realtime
from .refusals import RefusalLog
from .request_log import RequestLog
from .tenancy import Tenancy
from .transcriptions import Rules, Transcriptions
from .websocket import SpeechSockets

if TYPE_CHECKING:
    from .jobs.webhooks import Webhooks  # it imports an HTTP client

_WEBHOOK_SECONDS = 2.0  # for the webhooks of the last jobs, while the last responses end


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The operator's settings for the API and the page."""

    names: tuple[str, ...] = ()  # of this server besides localhost; IP addresses need none
    origins: tuple[str, ...] = ()  # whose pages may use the API
    any_model: bool = False  # serve the default model under any name
    language_codes: bool = False  # verbose_json names the language by its code
    max_files: int = 4  # of one client at the same time
    max_total_files: int = 16  # of all clients
    upload: UploadLimits = field(default_factory=UploadLimits)
    jobs: JobLimits = field(default_factory=JobLimits)


class ApiServer:
    """The API and the page. The constructor blocks: it reads files.

    Args:
        context: what all sessions share.
        files: the same, for the sessions that transcribe files.
        limits: time and size limits for each browser.
        about: what the page shows about the server.
        settings: the operator's settings.
        admission: admission control, with the same rules as for the Wyoming port.
        offline: files for the page to work without the server; None = not available.
        webhooks: tells other servers that a job has ended; None = jobs may not ask for that.
        authenticator: verifies keys and tokens; None = every client is served.
        count_refusal: called for each client that is not authenticated.
        tls: context for TLS; None = plain HTTP.
    """

    def __init__(
        self,
        context: SessionContext,
        files: SessionContext,
        limits: ClientLimits,
        about: ServerDescription,
        settings: ApiSettings,
        *,
        admission: Admission,
        offline: OfflineFiles | None,
        webhooks: Webhooks | None,
        authenticator: Authenticator | None,
        count_refusal: Callable[[Reason], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._authenticator = authenticator
        self._tenants = context.tenants
        self._count_refusal = count_refusal
        self._refusals = RefusalLog(self._refused)
        self._speech = SpeechSockets(context, limits, admission)
        catalogue = Catalogue(
            context.offer.models, started=int(time.time()), any_name=settings.any_model
        )
        retry_after = partial(seconds_until_free, context.worker)
        self._jobs = Jobs(settings.jobs, now=time.time, retry_after=retry_after)
        self._webhooks = webhooks
        self._realtime = Realtime(
            context, limits, admission, authenticate=known_already, catalogue=catalogue
        )
        self._log = RequestLog()
        self._transcriptions = Transcriptions(
            FileTranscriber(files),
            Rules(
                catalogue,
                settings.upload,
                FilesInFlight(settings.max_files, settings.max_total_files, context.tenants.use),
                context.guard,
                retry_after,
                self._log,
                partial(render, language_codes=settings.language_codes),
            ),
            Background(self._jobs, webhooks),
        )
        self._server = HttpServer(
            self._application(catalogue, about, settings, offline),
            options="--http",
            rules=ConnectionRules(head=limits.first_event, write=limits.write),
            admission=admission,
            tls=tls,
        )
        self.url: str | None = None  # None until start()

    def _application(
        self,
        catalogue: Catalogue,
        about: ServerDescription,
        settings: ApiSettings,
        offline: OfflineFiles | None,
    ) -> ASGIApp:
        origin_check = OriginCheck(settings.names, settings.origins)
        return build_app(
            [
                openai.routes(self._transcriptions, catalogue),
                asr.routes(self._transcriptions, about.models[0].languages[0]),
                job_routes(self._jobs),
                APIRouter(routes=self._realtime.routes()),
            ],
            page_routes(self._speech, about, origin_check, self._log, offline),
            origin_check=origin_check,
            origins=settings.origins,
            log=self._log,
            ready=about.ready,
            authenticated=self._authenticator is not None,
            identify=self._identify,
        )

    def _refused(self, reason: Reason) -> None:
        self._count_refusal(reason)
        self._server.refused()

    @property
    def connections(self) -> int:
        """Number of open WebSockets."""
        return len(self._speech.sockets.clients) + len(self._realtime.sockets.clients)

    async def start(self, host: str, port: int) -> str:
        """Start to listen, and return the URL with the real port.

        Raises:
            SettingError: listening on the address is not possible.
        """
        if self._authenticator is not None:
            await self._authenticator.start()
        self.url = await self._server.start(host, port)
        return self.url

    async def stop(self, seconds: float) -> None:
        """Let running utterances, files and jobs end, then close all connections.

        Args:
            seconds: time for running utterances, files and jobs to end.
        """
        await asyncio.gather(
            self._speech.sockets.drain(seconds),
            self._realtime.drain(seconds),
            self._transcriptions.drain(seconds),
            self._jobs.drain(seconds),
        )
        if self._webhooks is None:
            await self._server.stop()
        else:
            await asyncio.gather(self._server.stop(), self._webhooks.close(_WEBHOOK_SECONDS))
        self._log.stop()
        if self._authenticator is not None:
            await self._authenticator.close()
        self._refusals.stop()

    def _identify(self, app: ASGIApp) -> ASGIApp:
        app = Tenancy(app, self._tenants)
        if self._authenticator is None:
            return app
        return Authentication(app, self._authenticator, self._refusals, self._realtime.maker)
