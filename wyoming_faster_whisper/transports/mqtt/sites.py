"""All sites: passes each message of the broker to the session that it belongs to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from ...errors import Busy, NotAllowed, ProtocolError, ServerError, counted, printable
from ...session.session import SessionContext
from ..admission import Admission
from ..lifecycle import ClientLimits, drain_all
from ..rejections import Rejections
from . import hermes
from .flood import MUTED_SECONDS
from .hermes import StartListening
from .json_object import read_object
from .site import MOST_SESSIONS, Site, Subscriber
from .site_session import Control, Outlet, Signal, SiteSession
from .topics import Incoming, Kind

_LOGGER = logging.getLogger(__name__)

_OFFLINE = b"offline"  # the Will of a satellite
_MOST_ERRANDS = 256


@dataclass(frozen=True, slots=True)
class SiteLimits:
    """Limits of what satellites may do."""

    frame: int = 64 * 1024 + 512  # bytes of a frame: two seconds at 16 kHz, and a header
    waiting: int = 1024 * 1024  # bytes of a session's audio that may wait for it
    sites: int = 256  # sites that are remembered


class Sites:
    """The sites and their sessions. Lives on the event loop.

    Args:
        context: what all sessions share.
        limits: time limits of a session.
        admission: admission control. Sessions are counted separately from other clients.
        outlet: publishes for the sessions.
        subscriber: subscribes to the audio of sites.
        allowed: sites that are served; () = all.
        on_new_site: called with the name of each site that begins its first utterance.
        site_limits: other limits.
    """

    def __init__(
        self,
        context: SessionContext,
        limits: ClientLimits,
        admission: Admission,
        outlet: Outlet,
        subscriber: Subscriber,
        *,
        allowed: Collection[str],
        on_new_site: Callable[[str], None],
        site_limits: SiteLimits | None,
    ) -> None:
        self._context = context
        self._limits = limits
        self._admission = admission
        self._outlet = outlet
        self._subscriber = subscriber
        self._allowed = frozenset(allowed)
        self._on_new_site = on_new_site
        self._own_limits = site_limits or SiteLimits()
        # By family of topics and site id; the one whose last message is oldest comes first.
        self._sites: dict[tuple[bool, str], Site] = {}
        self._clients: dict[asyncio.Task[None], SiteSession] = {}
        self._errands: set[asyncio.Task[None]] = set()  # short tasks
        self._rejections: Rejections[str] = Rejections(_report)
        self._stopping = False

    @property
    def clients(self) -> Collection[SiteSession]:
        """The open sessions, the oldest first."""
        return self._clients.values()

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take a message of the broker. Raises nothing that a peer can cause."""
        incoming = self._outlet.topics.read(topic)
        if incoming is None:
            return
        if retained:
            # It may be from last year, and the broker repeats it after each new connection.
            self._rejections.add(f"ignoring a retained message on {printable(topic)}")
            return
        if incoming.kind in (Kind.FRAME, Kind.SESSION_FRAME):
            self._frame(incoming, payload)
            return
        try:
            self._control(incoming, payload)
        except ServerError as error:
            self._rejections.add(f"{printable(topic)}: {error}")

    def lost(self) -> None:
        """Fail the utterances that are being heard: the connection to the broker was lost."""
        for client in list(self._clients.values()):
            self._put(client, Signal.LOST)

    async def drain(self, seconds: float) -> None:
        """Refuse new sessions, let running utterances end, then end all sessions.

        Args:
            seconds: time for running utterances to end.
        """
        self._stopping = True
        await drain_all(self._clients, seconds)
        for errand in list(self._errands):
            errand.cancel()
        self._rejections.stop()

    def _frame(self, incoming: Incoming, payload: bytes) -> None:
        site = self._sites.get((incoming.hermes, incoming.site or ""))
        if site is None or not site.sessions:
            return
        now = _now()
        if site.rate.muted(now):
            return
        if not site.rate.frame(len(payload), now):
            self._mute(site)
            return
        if len(payload) > self._own_limits.frame:
            self._rejections.add(
                f"site {site.name}: a frame has {len(payload)} bytes; the limit is "
                f"{self._own_limits.frame}"
            )
            return
        if not site.on:
            return
        if incoming.kind is Kind.SESSION_FRAME:
            session = site.sessions.get(incoming.session)
            if session is not None:
                session.inbox.put_frame(payload)
            return
        for each in site.sessions.values():
            each.inbox.put_frame(payload)

    def _mute(self, site: Site) -> None:
        """Stop hearing a site that floods, at the broker too, and end its sessions."""
        _LOGGER.warning(
            "MQTT site %s sends too much audio; ignoring it for %g s", site.name, MUTED_SECONDS
        )
        self._do(site.ignore())
        for client in list(site.sessions.values()):
            self._end(client, Busy("the site sends more audio than the server takes"))

    def _control(self, incoming: Incoming, payload: bytes) -> None:
        """Take a control message.

        Raises:
            ServerError: it is wrong or refused.
        """
        if incoming.kind is Kind.STATUS:
            if payload == _OFFLINE:
                self._satellite_left(incoming.site or "")
            return
        fields = read_object(payload, hermes.LARGEST_CONTROL)
        name = hermes.read_site(fields, incoming.site)
        if self._allowed and name not in self._allowed:
            raise NotAllowed(f"site {name} is not in --mqtt-sites")
        site = self._site(name, incoming.hermes)
        if not site.rate.control(_now()):
            raise Busy(f"site {name} sends too many messages")
        match incoming.kind:
            case Kind.START:
                self._take_start(fields, site)
            case Kind.STOP:
                self._pass_on(hermes.read_stop(fields, name), site)
            case kind:
                site.toggle(hermes.read_toggle(fields, name, on=kind is Kind.TOGGLE_ON))

    def _satellite_left(self, name: str) -> None:
        """End the sessions of a satellite that has vanished."""
        for task, client in self._clients.items():
            if client.site == name:
                task.cancel()

    def _take_start(self, fields: dict[str, Any], site: Site) -> None:
        session = hermes.read_session(fields)
        try:
            start = hermes.read_start(fields, site.name)
        except ProtocolError as error:
            self._refuse(self._new_session(StartListening(site.name, session), site), error)
        else:
            self._pass_on(start, site)

    def _pass_on(self, control: Control, site: Site) -> None:
        """Pass a message to its session, which startListening begins if there is none."""
        assert not isinstance(control, Signal)
        client = site.sessions.get(control.session)
        if client is not None:
            self._put(client, control)
        elif isinstance(control, StartListening):
            self._begin(control, site)

    def _begin(self, start: StartListening, site: Site) -> None:
        client = self._new_session(start, site)
        try:
            if self._stopping:
                raise Busy("the server is stopping")
            if len(site.sessions) >= MOST_SESSIONS:
                raise Busy(f"site {site.name} has {len(site.sessions)} sessions already")
            evicted = self._admission.admit(client.principal, self._clients.values())
        except Busy as error:
            self._refuse(client, error)
            return
        if evicted is not None:
            evicted.drain()
        self._on_new_site(site.name)
        site.sessions[start.session] = client
        client.inbox.put(start)
        task = asyncio.get_running_loop().create_task(client.run())
        self._clients[task] = client
        # Not at the end of a coroutine: a task that is cancelled early never runs.
        task.add_done_callback(lambda _: self._ended(task, client, start.session, site))

    def _ended(
        self, task: asyncio.Task[None], client: SiteSession, session: str | None, site: Site
    ) -> None:
        del self._clients[task]
        del site.sessions[session]
        waiting = client.inbox.close()
        if client.inbox.dropped:
            _LOGGER.warning(
                "MQTT site %s sent faster than the model decodes; %s dropped",
                site.name,
                counted(client.inbox.dropped, "frame"),
            )
        if not task.cancelled():
            for control in waiting:  # the session ended just before they came
                if not isinstance(control, Signal):
                    self._pass_on(control, site)
        self._do(site.ignore())

    def _new_session(self, start: StartListening, site: Site) -> SiteSession:
        return SiteSession(
            self._context,
            self._limits,
            start,
            hermes_topics=site.hermes,
            outlet=self._outlet,
            hear=site.hear,
            inbox_bytes=self._own_limits.waiting,
        )

    def _put(self, client: SiteSession, control: Control) -> None:
        try:
            client.inbox.put(control)
        except Busy as error:
            self._end(client, error)

    def _end(self, client: SiteSession, error: ServerError) -> None:
        """End a session at once, and tell its satellite why."""
        self._task_of(client).cancel()
        self._refuse(client, error)

    def _refuse(self, client: SiteSession, error: ServerError) -> None:
        self._rejections.add(f"{client.principal.name}: {error}")
        self._do(client.refuse(error))

    def _task_of(self, client: SiteSession) -> asyncio.Task[None]:
        return next(task for task, each in self._clients.items() if each is client)

    def _site(self, name: str, hermes_topics: bool) -> Site:
        """Return a site; a new one may take the place of one without a session.

        Raises:
            Busy: too many sites have sessions.
        """
        key = (hermes_topics, name)
        site = self._sites.pop(key, None)
        if site is None:
            self._forget_one()
            filters = self._outlet.topics.audio(name, hermes=hermes_topics)
            site = Site(name, filters, self._subscriber, hermes=hermes_topics)
        self._sites[key] = site
        return site

    def _forget_one(self) -> None:
        if len(self._sites) < self._own_limits.sites:
            return
        forgettable = (key for key, site in self._sites.items() if site.forgettable)
        oldest = next(forgettable, None)
        if oldest is None:
            raise Busy(f"{len(self._sites)} sites have sessions already")
        del self._sites[oldest]

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that the broker has to answer, apart from reading its messages."""
        if len(self._errands) >= _MOST_ERRANDS:
            work.close()
            return
        errand = asyncio.get_running_loop().create_task(work)
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)


def _report(count: int, most: str) -> None:
    more = f" (and {count - 1} more messages)" if count > 1 else ""
    _LOGGER.warning("MQTT: %s%s", most, more)


def _now() -> float:
    return asyncio.get_running_loop().time()
