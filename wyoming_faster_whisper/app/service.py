"""The server as a whole: builds its parts, starts and stops them in order.

    choose the model ─► listen ─► load the model, announce ─► serve
                                                                 │ SIGTERM, SIGINT, SIGHUP
    exit ◄─ stop the worker ◄─ let running utterances end ◄─ withdraw, stop accepting

The server listens before the model is loaded, so that no connection is refused. It answers
`describe` at once; the first transcript waits for the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wyoming.event import Event

from .. import hardware
from ..config.settings import Settings
from ..engine.protocol import DecodeKind, Engine
from ..engine.queue import Worker, WorkerStatistics
from ..engine.recognizer import Loader
from ..engine.remote.wyoming import Upstreams
from ..engine.timing import Timing
from ..errors import Overloaded
from ..models import data_folders
from ..process import stop_signals
from ..session.memory_guard import MemoryGuard
from ..session.request import Offer
from ..session.session import AudioMemory, SessionContext
from ..session.tenant_offer import models_for
from ..speech.vad import SpeechDetector, Vad
from ..tenant import IdentityKind, Tenant
from ..tenants.tenants import Tenants
from ..transports.address import Address
from ..transports.lifecycle import ClientLimits
from ..transports.tls import ServerCertificate
from ..transports.wyoming.info import build_info
from ..transports.wyoming.listener import Listener
from . import build
from .home_names import name_cache
from .http_servers import make_http, make_metrics
from .language_data import LanguageData
from .limitations import fit
from .loading import gpu_memory, gpu_pool
from .log import UtteranceLog
from .mqtt import mqtt_options
from .preprocessing import make_preprocessing
from .recognizers import choose_recognizer, loaders_of

if TYPE_CHECKING:
    from ..session.record import UtteranceRecord
    from ..transports.discovery import Announcement
    from ..transports.http.api_server import ApiServer
    from ..transports.http.connections.server import HttpServer
    from ..transports.mqtt.server import MqttOptions, MqttServer
    from .metrics import Metrics

_LOGGER = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0
"""Seconds for running utterances to finish at shutdown. Docker kills the process after 10 s."""


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """A snapshot of the server's load."""

    connections: int  # connected Wyoming clients
    browsers: int  # browsers with an open WebSocket of the page
    sites: int  # open sessions of MQTT satellites
    worker: WorkerStatistics


class Service:
    """The server, from start to stop. Call its methods in the event loop only.

    Args:
        settings: the operator's settings.
        default_data_dir: folder for models if the settings name none.
        load: replaces loading the real model; for tests.
        load_vad: replaces loading the real VAD; for tests.
        limits: replaces the timeouts for clients; for tests.

    Raises:
        ServerError: a setting cannot be served; from the constructor and start().
    """

    def __init__(
        self,
        settings: Settings,
        *,
        default_data_dir: Path,
        load: Callable[[], Engine] | None = None,
        load_vad: Callable[[], SpeechDetector] = Vad,
        limits: ClientLimits | None = None,
    ) -> None:
        self._address = Address.parse(settings.uri)
        self._certificate = (
            ServerCertificate(settings.tls_cert, settings.tls_key, settings.tls_ca)
            if settings.tls_cert
            else None
        )
        self._tls = self._certificate.context if self._certificate is not None else None
        self._renewal: asyncio.Task[None] | None = None  # follows the certificate's files
        folders = list(
            data_folders(settings.data_dir or [str(default_data_dir)], settings.download_dir)
        )
        self._folders = folders
        self._recognizer = choose_recognizer(settings, folders, loaded=self._set_up_vad)
        settings, limitations = fit(settings, self._recognizer)
        for limitation in limitations:
            _LOGGER.warning("%s", limitation)
        self._settings = settings
        self._preprocessing = make_preprocessing(settings.preprocess)
        self._make_engine = load
        self._load_vad = load_vad
        self._detector: SpeechDetector | None = None  # once it is loaded
        self._limits = limits or build.limits(settings)
        self._mqtt_options = mqtt_options(settings)
        self._upstreams = (
            Upstreams(settings.upstream, timeout=settings.upstream_timeout)
            if settings.upstream
            else None
        )
        self._stop_requested = asyncio.Event()  # set by stop()
        self._closing = False
        self._worker: Worker | None = None
        self._listener: Listener | None = None
        self._announcement: Announcement | None = None
        self._api_server: ApiServer | None = None
        self._mqtt: MqttServer | None = None
        self._metrics: Metrics | None = None
        self._metrics_server: HttpServer | None = None
        self._model_memory = 0  # bytes
        self._guard = MemoryGuard((settings.max_memory or 0) * 1_000_000)
        self._tenants = Tenants(
            Path(settings.tenants) if settings.tenants else None,
            {model.name: model.languages for model in self._recognizer.models},
            required=build.required_for_tenants(settings),
        )
        default_model = self._recognizer.models[0]
        self._language = build.default_language(settings, default_model)
        self._language_data = LanguageData(self._recognizer.prepare)
        self._names = name_cache(
            settings, default_model.name, self._language or "en", self._tenants
        )
        self.metrics_url: str | None = None  # None before start() and without --metrics-port

    @property
    def http_url(self) -> str | None:
        """URL of the API and the page; None before start() and without --http-port."""
        return self._api_server.url if self._api_server is not None else None

    @property
    def address(self) -> Address:
        """Address that the server listens on, with the actual port after start()."""
        return self._address

    def statistics(self) -> ServiceStatistics:
        """Return a snapshot of the server's load. Only after start()."""
        assert self._worker is not None
        assert self._listener is not None
        return ServiceStatistics(
            connections=self._listener.connections,
            browsers=self._api_server.connections if self._api_server is not None else 0,
            sites=len(self._mqtt.clients) if self._mqtt is not None else 0,
            worker=self._worker.statistics(),
        )

    async def start(self) -> None:
        """Listen, announce the server and start loading the model."""
        settings = self._settings
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(
            self._loaders(),
            Timing(
                decode_timeout=settings.decode_timeout,
                load_timeout=settings.load_timeout,
                unload_after=settings.unload_after,
            ),
            max_waiting=settings.max_waiting,
            on_begun=self._count_wait,
            on_decoded=self._count_decode,
        )
        self._vad: asyncio.Future[SpeechDetector] = self._loop.create_future()
        if settings.metrics_port is not None:
            await asyncio.to_thread(self._make_metrics, self._worker)
        shared = self._shared(self._worker)
        self._listener = Listener(
            shared,
            self._info,
            limits=self._limits,
            admission=build.admission(settings),
            socket_mode=int(settings.socket_mode, 8),
            tls=self._tls,
        )
        self._address = await self._listener.start(self._address)
        names = ", ".join(model.name for model in self._recognizer.models)
        _LOGGER.info("Listening on %s with model %s", self._address, names)
        if self._metrics_server is not None and settings.metrics_port is not None:
            self.metrics_url = await self._metrics_server.start(
                settings.metrics_host, settings.metrics_port
            )
            _LOGGER.info("Metrics at %s/metrics", self.metrics_url)
        if settings.http_port is not None:
            await self._serve_http(shared, settings.http_port)
        if self._mqtt_options is not None:
            self._serve_mqtt(shared, self._mqtt_options)
        if self._upstreams is not None:
            await self._upstreams.start()
        self._worker.start()
        self._tenants.start()
        if self._certificate is not None:
            self._renewal = asyncio.create_task(self._certificate.watch())
        if self._names is not None:
            self._names.refresh()  # now, so that the first utterance need not wait for them
        if settings.zeroconf is not None:
            await self._announce(settings.zeroconf)

    async def run(self) -> None:
        """Serve until stop() is called or, with stdio://, standard input ends.

        Raises:
            ServerError: the model cannot be loaded, or failed for good while serving.
        """
        assert self._worker is not None
        assert self._listener is not None
        started = time.monotonic()
        waiters = {
            ready := asyncio.ensure_future(self._worker.ready()),
            asked := asyncio.ensure_future(self._stop_requested.wait()),
            ended := asyncio.ensure_future(self._listener.ended.wait()),
        }
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                self._fail_vad_waiters(ready.exception())
                ready.result()
                _LOGGER.info("Ready (%.1f s)", time.monotonic() - started)
                self._warn_of_memory()
                # From here on a model that hangs or cannot be reloaded ends the server too.
                waiters.add(failed := asyncio.ensure_future(self._worker.failed()))
                await asyncio.wait({failed, asked, ended}, return_when=asyncio.FIRST_COMPLETED)
                if failed.done():
                    failed.result()
        finally:
            for waiter in waiters:
                waiter.cancel()

    def _warn_of_memory(self) -> None:
        try:
            self._guard.check_new()
        except Overloaded as error:
            _LOGGER.warning("--max-memory is too low for the model: %s", error)

    def stop(self) -> None:
        """Make run() return."""
        self._stop_requested.set()

    async def close(self) -> None:
        """Withdraw the announcement, let running utterances finish and stop the worker."""
        self._closing = True
        if self._announcement is not None:
            await self._announcement.close()
        if self._upstreams is not None:
            await self._upstreams.close()
        # All servers drain at the same time, so their time limits overlap.
        servers = (self._listener, self._api_server, self._mqtt)
        await asyncio.gather(*(one.stop(DRAIN_SECONDS) for one in servers if one is not None))
        # The metrics stay available while the clients drain.
        if self._metrics_server is not None:
            await self._metrics_server.stop()
        self._tenants.close()
        if self._renewal is not None:
            self._renewal.cancel()
        if self._names is not None:
            await self._names.close()
        if self._worker is not None:
            await self._worker.close()
        await asyncio.to_thread(self._recognizer.close)

    def _fail_vad_waiters(self, error: BaseException | None) -> None:
        """Pass a load error to the sessions that wait for the VAD, which loads with the model."""
        if error is not None and not self._vad.done():
            self._vad.set_exception(error)
            self._vad.exception()  # mark as retrieved: perhaps no session waits for it

    def _vad_loaded(self, vad: SpeechDetector) -> None:
        if not self._vad.done():  # else an abandoned load has completed after all
            self._vad.set_result(vad)

    def _make_metrics(self, worker: Worker) -> None:
        self._metrics, self._metrics_server = make_metrics(
            worker,
            sessions=self._sessions,
            model_memory=lambda: self._model_memory,
            gpu_pool=partial(gpu_pool, gpu_memory(self._settings.device)),
            engine_decodes=self._recognizer.outcomes,
            obstacle=self._obstacle,
            head_seconds=self._limits.first_event,
            admission=build.admission(self._settings),
        )
        self._tenants.use.on_refused = self._metrics.limited

    def _count_wait(self, kind: DecodeKind, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.begun(kind.value, seconds)

    def _count_decode(self, kind: DecodeKind, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.decoded(kind.value, seconds)

    def _obstacle(self) -> str | None:
        """Return why a load balancer should send no clients here; None = it should."""
        if self._closing:
            return "the server is stopping"
        assert self._worker is not None
        now = self._worker.statistics()
        # An unloaded model is loaded again by the next client, so clients must keep coming.
        if not (now.ready or now.unloaded):
            return "the model is loading"
        return self._recognizer.obstacle()

    def _sessions(self) -> dict[str, int]:
        now = self.statistics()
        return {"wyoming": now.connections, "web": now.browsers, "mqtt": now.sites}

    async def _serve_http(self, shared: SessionContext, port: int) -> None:
        settings = self._settings
        self._api_server = await asyncio.to_thread(
            make_http,
            shared,
            settings,
            folders=self._folders,
            limits=self._limits,
            admission=build.admission(settings),
            count_refusal=self._metrics.refused if self._metrics else lambda _: None,
            tls=self._tls,
        )
        url = await self._api_server.start(settings.http_host, port)
        _LOGGER.info("API at %s/v1; try the server at %s", url, url)

    def _serve_mqtt(self, shared: SessionContext, options: MqttOptions) -> None:
        from ..transports.mqtt.server import MqttServer

        if sites := self._settings.mqtt_sites:
            self._tenants.known[IdentityKind.SITE] = ("--mqtt-sites", lambda: sites)
        self._mqtt = MqttServer(shared, self._limits, build.admission(self._settings), options)
        self._mqtt.start()

    async def _announce(self, name: str) -> None:
        if self._address.scheme != "tcp":
            _LOGGER.warning(
                "--zeroconf works with tcp:// only; %s is not announced", self._address
            )
            return
        # In a thread: clients are served already, and the import takes a while and runs ldconfig.
        announcement = await asyncio.to_thread(_import_announcement)
        self._announcement = announcement(
            name=name,
            bound_host=self._address.host,
            port=self._address.port,
            advertise_host=self._settings.advertise_host,
            advertise_port=self._settings.advertise_port,
        )
        self._announcement.start()

    def _shared(self, worker: Worker) -> SessionContext:
        settings, names = self._settings, self._names

        async def vad() -> SpeechDetector:
            return await asyncio.shield(self._vad)

        return SessionContext(
            worker=worker,
            vad=vad,
            offer=Offer(
                self._recognizer.models,
                build.decode_options(settings, self._language),
                home_names=tuple if names is None else (lambda: names.names),
                preprocessing=self._preprocessing,
                spoken=settings.languages,
            ),
            rules=build.utterance_rules(settings),
            turns=build.turn_rules(settings),
            names=names,
            prepare_language=self._language_data.prepare,
            partials=settings.partials,
            style=build.style(settings),
            ignore_first=settings.ignore_first,
            upstreams=self._upstreams,
            max_seconds=settings.max_audio_seconds,
            memory=AudioMemory(limit=settings.max_audio_memory * 1_000_000),
            guard=self._guard,
            tenants=self._tenants,
            observe=self._observer(UtteranceLog(text=settings.log_text)),
            count_lost=self._metrics.lost if self._metrics else lambda _: None,
            count_error=self._metrics.failed if self._metrics else lambda _: None,
            count_steps=self._metrics.preprocessed if self._metrics else lambda _: None,
        )

    def _info(self, tenant: Tenant) -> Event:
        """Return the answer to describe for a tenant."""
        settings, models = self._settings, models_for(self._recognizer.models, tenant)
        return build_info(
            self._recognizer,
            models,
            endpointing=build.turn_rules(settings).server_endpointing(None),
            partials=settings.partials != "off",
        ).event()

    def _observer(self, log: UtteranceLog) -> Callable[[UtteranceRecord], None]:
        metrics = self._metrics
        if metrics is None:
            return log

        def observe(record: UtteranceRecord) -> None:
            log(record)
            metrics.observe(record)

        return observe

    def _loaders(self) -> dict[str, Loader]:
        """Return the loaders of the models, which load the VAD too."""
        loaders = loaders_of(self._recognizer)
        if self._make_engine is not None:
            made = partial(self._load_made, self._make_engine)
            return {name: Loader(made) for name in list(loaders)[:1]}
        return {
            name: Loader(partial(self._load, loader.load), loader.version)
            for name, loader in loaders.items()
        }

    # The methods below run in the worker's thread.

    def _load_made(self, make: Callable[[], Engine]) -> Engine:
        self._set_up_vad()
        return make()

    def _load(self, load: Callable[[], Engine]) -> Engine:
        # The VAD is loaded after the weights, whose loading is the peak of memory use:
        # faster-whisper calls _set_up_vad() then. Audio that has been waiting passes the VAD into
        # the queue, and can serve as warm-up.
        before = hardware.resident_memory()
        # Loading the weights keeps one core busy; the data of the language takes about as long.
        if self._language:
            self._language_data.prepare(self._language)
        engine = load()
        self._set_up_vad()
        self._language_data.wait()
        # The load leaves free heap blocks in between those of the data: too small for a decode.
        hardware.release_memory()
        self._model_memory += max(0, hardware.resident_memory() - before)
        return engine

    def _set_up_vad(self) -> None:
        if self._detector is None:
            self._detector = self._load_vad()
            self._loop.call_soon_threadsafe(self._vad_loaded, self._detector)


def _import_announcement() -> type[Announcement]:
    from ..transports.discovery import Announcement

    return Announcement


async def serve(settings: Settings, *, default_data_dir: Path) -> None:
    """Run a server until SIGTERM, SIGINT or SIGHUP. A second signal ends it at once.

    Raises:
        ServerError: the server cannot serve; the message says why.
    """
    # In a thread: it searches folders for models, which may be on a slow or hung network disk.
    service = await asyncio.to_thread(Service, settings, default_data_dir=default_data_dir)
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    asked = False

    def on_signal(name: str) -> None:
        nonlocal asked
        if asked:
            _LOGGER.warning("%s again: stopping at once", name)
            main.cancel()
            return
        asked = True
        _LOGGER.info("%s: finishing running utterances, then stopping", name)
        starting.cancel()
        service.stop()

    starting = loop.create_task(service.start())
    for number in stop_signals():
        loop.add_signal_handler(number, on_signal, number.name)
    try:
        await asyncio.wait([starting])
        if not starting.cancelled():
            starting.result()
            await service.run()
    finally:
        await service.close()
