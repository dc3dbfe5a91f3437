"""State of one site: its sessions, whether its audio is used, and its rate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ...errors import Busy
from .flood import SiteRate
from .hermes import Toggle
from .site_session import SiteSession

_MOST_REASONS = 16
MOST_SESSIONS = 5
"""Sessions of one site that may be open: one without a session id, and some with one."""


class Subscriber(Protocol):
    """The connection to the broker, as far as a site's audio needs it."""

    @property
    def generation(self) -> object: ...

    async def subscribe(self, filters: Sequence[str]) -> None: ...

    async def unsubscribe(self, filters: Sequence[str]) -> None: ...


class Site:
    """One site, on one family of topics. Lives on the event loop.

    Args:
        name: the site id.
        hermes: the family: Hermes' topics, or those of the site. What is sent on the one does not
            count on the other, because other clients may be allowed to use it.
        filters: topic filters of its audio.
        subscriber: subscribes to them.
    """

    def __init__(
        self, name: str, filters: Sequence[str], subscriber: Subscriber, *, hermes: bool
    ) -> None:
        self.name = name
        self.hermes = hermes
        self.rate = SiteRate()
        self.sessions: dict[str | None, SiteSession] = {}  # by session id
        self._filters = filters
        self._subscriber = subscriber
        self._subscribed: object = None  # generation of the connection with the subscription
        self._changing = asyncio.Lock()
        self._off: set[str] = set()  # reasons for which its audio is ignored

    @property
    def on(self) -> bool:
        """False while its audio is to be ignored."""
        return not self._off

    @property
    def forgettable(self) -> bool:
        """True if little is lost when the server forgets the site: that it is off, at most."""
        return not (self.sessions or self._subscribed or self._changing.locked())

    def toggle(self, toggle: Toggle) -> None:
        """Ignore the site's audio for one more reason, or for one fewer.

        As in Rhasspy, switching on without a reason forgets all reasons.
        """
        if not toggle.on:
            if len(self._off) < _MOST_REASONS:
                self._off.add(toggle.reason)
        elif toggle.reason:
            self._off.discard(toggle.reason)
        else:
            self._off.clear()

    async def hear(self) -> None:
        """Subscribe to the site's audio, unless that is done already.

        Raises:
            Busy: the site floods.
            NotAllowed: the broker denies it.
            TooSlow: there is no connection.
        """
        async with self._changing:
            if self.rate.muted(asyncio.get_running_loop().time()):
                raise Busy("the site sent more audio than the server takes; try again later")
            if self._subscribed is None or self._subscribed is not self._subscriber.generation:
                generation = self._subscriber.generation
                await self._subscriber.subscribe(self._filters)
                self._subscribed = generation

    async def ignore(self) -> None:
        """Unsubscribe from the site's audio if no session needs it, or if the site floods."""
        async with self._changing:
            muted = self.rate.muted(asyncio.get_running_loop().time())
            if self.sessions and not muted:
                return
            if self._subscribed is not None:
                self._subscribed = None
                await self._subscriber.unsubscribe(self._filters)
