"""Lifecycle of a connected client: timeouts, draining, and errors that end it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import ServerError, TooSlow, first_of
from ..principal import Principal
from ..session.events import Answer, Event
from ..session.session import Session, SessionContext
from .wyoming.framing import FrameLimits

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Time and size limits for one client."""

    frame: FrameLimits = field(default_factory=FrameLimits)
    # Seconds in which the first event, or an event that has begun, must be complete.
    first_event: float = 10.0
    between_utterances: float = 300.0  # seconds without an event between utterances
    # Seconds without audio inside an utterance, and in which an event there must be complete.
    inside_utterance: float = 30.0
    write: float = 10.0  # seconds for the client to read what the server sends
    linger: float = 1.0  # seconds for the client to read the error before the connection closes
    # Seconds from the last event in which a new client can begin its first utterance although
    # the server stops: a balancer may just have chosen this server for it.
    last_chance: float = 1.0


class ClientLifecycle:
    """Base class of the clients of all transports: serves a session, enforces the time limits.

    A transport implements _receive(), _send_event() and _close_with().

    Args:
        context: what all sessions share.
        limits: the limits to enforce.
        principal: the client.
        disconnect_error: exception that reading and writing raise after the client has left.
    """

    def __init__(
        self,
        context: SessionContext,
        limits: ClientLimits,
        principal: Principal,
        *,
        disconnect_error: type[Exception] = OSError,
    ) -> None:
        self._context = context
        self._limits = limits
        self._principal = principal
        self._disconnect_error = disconnect_error
        self._session: Session | None = None
        self._any_event = False  # a complete event has been received
        self._last_activity = _now()  # time of the last event received or answer sent
        self._event_deadline: float | None = None  # deadline of the event that has begun
        self._answered = False  # an answer has been sent
        self._leave_at: float | None = None  # when to disconnect if not busy; None = not draining
        self._read_timeout: asyncio.Timeout | None = None  # timeout of the current read
        self._timeout_seconds: float | None = None  # its length; None = no limit

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.principal.name}, {self._session!r}>"

    @property
    def principal(self) -> Principal:
        """The client, with its tenant, which may change from one utterance to the next."""
        return self._principal if self._session is None else self._session.principal

    @property
    def silent(self) -> bool:
        """True if the client has never sent a complete event."""
        return not self._any_event

    @property
    def idle(self) -> float:
        """Seconds since the client's last activity; 0 while it is busy."""
        return 0.0 if self.busy else _now() - self._last_activity

    @property
    def busy(self) -> bool:
        """True inside an utterance and while an answer is pending."""
        session = self._session
        return session is not None and (session.listening or session.answering)

    @property
    def _draining(self) -> bool:
        return self._leave_at is not None

    def drain(self, *, last_chance: bool = False) -> None:
        """Disconnect the client as soon as it is not busy.

        Args:
            last_chance: a client that has connected just now can begin its first utterance.
        """
        self._leave_at = _now()
        if last_chance and not self._answered:
            self._leave_at = max(_now(), self._last_activity + self._limits.last_chance)
        if not self.busy:
            self._reschedule(self._leave_at - _now())

    async def _serve(self, *, partials: str | None = None, continuous: bool = False) -> None:
        """Serve the client until it leaves. Log an error that ends the connection, and report it.

        Args:
            partials: see Session.
            continuous: likewise.
        """
        try:
            async with (
                asyncio.TaskGroup() as tasks,
                Session(
                    self._context, self.principal, partials=partials, continuous=continuous
                ) as session,
            ):
                self._session = session
                tasks.create_task(self._send_events(session))
                await self._receive(session)
        except* ServerError as group:
            error = first_of(group)
            assert isinstance(error, ServerError)
            _LOGGER.warning("%s: %s", self.principal.name, error)
            await self._report(error)
        except* self._disconnect_error as group:
            _LOGGER.debug("%s: disconnected: %s", self.principal.name, first_of(group))
        except* Exception:
            _LOGGER.exception("%s: internal error; closing the connection", self.principal.name)
            await self._report(ServerError("internal server error; see the server's log"))

    async def _send_events(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        async for event in session.events():
            await self._send_event(event)
            if isinstance(event, Answer):
                # Later, when the session counts the answer as delivered and is no longer busy.
                loop.call_soon(self._answer_sent)

    async def _report(self, error: ServerError) -> None:
        self._context.count_error(error.code)
        await self._close_with(error)

    async def _receive(self, session: Session) -> None:
        """Pass what the client sends to the session, until the client leaves.

        Raises:
            ServerError: the error to report to the client.
        """
        raise NotImplementedError

    async def _send_event(self, event: Event) -> None:
        """Send an event to the client.

        Raises:
            TooSlow: the client does not read.
        """
        raise NotImplementedError

    async def _close_with(self, error: ServerError) -> None:
        """Send an error to the client and end the connection."""
        raise NotImplementedError

    async def _read_event(
        self, read: Callable[[], Awaitable[T]], *, begun: bool = False
    ) -> T | None:
        """Wait for the client's next data, for as long as the limits allow.

        Args:
            read: returns the client's next data.
            begun: whether a part of an event has been received already.

        Returns:
            The result of read(); None if the connection must end because of drain().

        Raises:
            TooSlow: no data arrived in time, or the event is not complete in time.
        """
        limits, session = self._limits, self._session
        listening = session is not None and session.listening
        self._timeout_seconds = limits.between_utterances
        if listening:
            self._timeout_seconds = limits.inside_utterance
        elif self.busy:
            self._timeout_seconds = None  # the client waits for the answer; see _answer_sent()
        elif begun or not self._any_event:
            self._timeout_seconds = limits.first_event
        if self._leave_at is not None and not self.busy:
            if self._leave_at <= _now():
                return None
            self._timeout_seconds = self._leave_at - _now()
        if self._event_deadline is None and (begun or not self._any_event):
            self._event_deadline = _now() + (self._timeout_seconds or limits.first_event)
        try:
            async with asyncio.timeout_at(
                self._deadline(self._timeout_seconds)
            ) as self._read_timeout:
                return await read()
        except TimeoutError:
            if self._draining:
                return None
            if self._event_deadline is not None:
                seconds = limits.inside_utterance if listening else limits.first_event
                raise TooSlow(
                    f"no complete event received within {seconds:g} s; closing the connection"
                ) from None
            raise TooSlow(
                f"nothing received for {self._timeout_seconds:g} s; closing the connection"
            ) from None
        finally:
            self._read_timeout = None

    def _event_received(self) -> None:
        """Record that a complete event has been received."""
        self._any_event = True
        self._last_activity = _now()
        self._event_deadline = None

    def _answer_sent(self) -> None:
        """Record that an answer has been sent. The time limit between utterances begins now."""
        self._answered = True
        self._last_activity = _now()
        if self._session is not None and not self._session.listening:
            self._reschedule(0 if self._draining else self._limits.between_utterances)

    def _reschedule(self, seconds: float) -> None:
        """Set the timeout of the current read to this many seconds from now."""
        if self._read_timeout is not None and not self._read_timeout.expired():
            self._timeout_seconds = seconds
            self._read_timeout.reschedule(self._deadline(seconds))

    def _deadline(self, seconds: float | None) -> float | None:
        """Return the time in this many seconds, or the event's deadline if that is earlier."""
        if seconds is None:
            return self._event_deadline
        end = _now() + seconds
        return end if self._event_deadline is None else min(end, self._event_deadline)


async def drain_all(clients: Mapping[asyncio.Task[Any], ClientLifecycle], seconds: float) -> None:
    """Let running utterances end, then disconnect all clients.

    Args:
        clients: each client by the task that serves it.
        seconds: time for running utterances to end.
    """
    for client in clients.values():
        client.drain(last_chance=True)
    if clients:
        _, late = await asyncio.wait(clients, timeout=seconds)
        for task in late:
            _LOGGER.warning("%r did not finish in time", clients[task])
            task.cancel()
        if late:
            await asyncio.wait(late)


def _now() -> float:
    return asyncio.get_running_loop().time()
