"""The MQTT transport as a whole: connection, sites, discovery by Home Assistant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ...errors import TooSlow
from ...session.session import SessionContext
from ..admission import Admission
from ..lifecycle import ClientLimits
from .connection import BrokerOptions, Connection, Message
from .home_assistant import OFFLINE, ONLINE, Discovery
from .site_session import SiteSession
from .sites import SiteLimits, Sites
from .topics import Topics

_LOGGER = logging.getLogger(__name__)

_ANSWER_WITHIN = 20.0  # seconds for the broker to take an answer; a later one is of no use
_MOST_ENTITIES = 64  # sites that Home Assistant is told about
_FAREWELL = 2.0  # seconds for the last message and the disconnection


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """The operator's settings of the transport."""

    broker: BrokerOptions
    prefix: str
    sites: tuple[str, ...] = ()  # () = all
    discovery: str | None = None  # Home Assistant's discovery prefix; None = no discovery
    limits: SiteLimits = field(default_factory=SiteLimits)
    answer_within: float = _ANSWER_WITHIN


class MqttServer:
    """Serves the satellites of a broker. Lives on the event loop.

    Args:
        context: what all sessions share.
        limits: time limits of a session.
        admission: admission control of the sessions.
        options: the operator's settings.
    """

    def __init__(
        self,
        context: SessionContext,
        limits: ClientLimits,
        admission: Admission,
        options: MqttOptions,
    ) -> None:
        self.topics = Topics(options.prefix)
        self._options = options
        self._discovery = Discovery(options.discovery, self.topics) if options.discovery else None
        self.tells_home_assistant = self._discovery is not None
        self._announced = dict.fromkeys(options.sites)  # sites that Home Assistant knows
        extra = [self._discovery.birth] if self._discovery else []
        self.connection = Connection(
            options.broker,
            filters=[*self.topics.controls, *extra],
            greeting=self._greeting,
            will=Message(self.topics.status, OFFLINE, retain=True),
            on_message=self._take,
            on_lost=lambda: self.sites.lost(),
        )
        self.sites = Sites(
            context,
            limits,
            admission,
            self,
            self.connection,
            allowed=options.sites,
            on_new_site=self._announce,
            site_limits=options.limits,
        )
        self._running: asyncio.Task[None] | None = None
        self._announcing: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> Collection[SiteSession]:
        """The open sessions."""
        return self.sites.clients

    def start(self) -> None:
        """Connect to the broker in the background, for as long as it takes."""
        self._running = asyncio.get_running_loop().create_task(self.connection.run())

    async def stop(self, seconds: float) -> None:
        """Refuse new sessions, let running utterances end, then disconnect.

        Args:
            seconds: time for running utterances to end.
        """
        await self.sites.drain(seconds)
        if self._running is None:
            return
        if self.connection.connected:
            with suppress(TooSlow):
                await self.connection.publish(
                    Message(self.topics.status, OFFLINE, retain=True), _FAREWELL
                )
        for task in (self._running, *self._announcing):
            task.cancel()
        await asyncio.wait({self._running}, timeout=_FAREWELL)

    async def publish(self, message: Message) -> None:
        """Publish a message of a session.

        Raises:
            TooSlow: the broker did not take it in time.
        """
        await self.connection.publish(message, self._options.answer_within)

    def _take(self, topic: str, payload: bytes, retained: bool) -> None:
        if self._discovery is not None and topic == self._discovery.birth:
            if payload == ONLINE and not retained and not self._announcing:
                self._in_background(self._greeting())
            return
        self.sites.take(topic, payload, retained)

    def _greeting(self) -> Sequence[Message]:
        """Return the status of the server, and its discovery messages."""
        messages = [Message(self.topics.status, ONLINE, retain=True)]
        if self._discovery is not None:
            configs = [
                self._discovery.connectivity(),
                *map(self._discovery.site, self._announced),
            ]
            messages += [Message(topic, payload, retain=True) for topic, payload in configs]
        return messages

    def _announce(self, site: str) -> None:
        """Tell Home Assistant about a site, once."""
        if self._discovery is None or site in self._announced:
            return
        if len(self._announced) >= _MOST_ENTITIES:
            return
        self._announced[site] = None
        topic, payload = self._discovery.site(site)
        self._in_background([Message(topic, payload, retain=True)])

    def _in_background(self, messages: Sequence[Message]) -> None:
        task = asyncio.get_running_loop().create_task(self._publish_all(messages))
        self._announcing.add(task)
        task.add_done_callback(self._announcing.discard)

    async def _publish_all(self, messages: Sequence[Message]) -> None:
        with suppress(TooSlow):
            for message in messages:
                await self.publish(message)
