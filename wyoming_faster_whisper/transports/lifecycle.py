"""One client while it is here, whatever carries it: our patience with it, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import ServerError, TooSlow
from ..session.session import Session
from .wyoming.framing import FrameLimits

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How long and how much we bear with one client."""

    frame: FrameLimits = field(default_factory=FrameLimits)
    first_event: float = 10.0  # seconds for a whole event; who connects wants something
    between_utterances: float = 300.0  # seconds between two utterances
    inside_utterance: float = (
        30.0  # seconds without sound inside an utterance, and for a whole event there
    )
    write: float = 10.0  # seconds that a client may take to read an answer
    linger: float = 1.0  # seconds that a client may take to read why we close


class ClientLifecycle:
    """What transports have in common: they wait for a client so long and no longer.

    Args:
        peer: what the log calls it.
        disconnect_error: what reading and writing raise when it has left.
    """

    def __init__(
        self, limits: ClientLimits, *, peer: str, disconnect_error: type[Exception] = OSError
    ) -> None:
        self._limits = limits
        self._peer = peer
        self._disconnect_error = disconnect_error
        self._session: Session | None = None
        self._any_event = False  # something whole has come
        self._last_activity = _now()  # when it last did, or an answer went out
        self._event_deadline: float | None = None  # when what has begun must be whole
        self._draining = False
        self._read_timeout: asyncio.Timeout | None = None  # with the read that runs
        self._timeout_seconds: float | None = None  # that it has; None = no limit

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._peer}, {self._session!r}>"

    @property
    def silent(self) -> bool:
        """Nothing whole has ever come."""
        return not self._any_event

    @property
    def idle(self) -> float:
        """Seconds since the client wanted something of us; 0 while it does."""
        return 0.0 if self.busy else _now() - self._last_activity

    @property
    def busy(self) -> bool:
        """Inside an utterance, or with an answer on its way."""
        session = self._session
        return session is not None and (session.listening or session.answering)

    def drain(self) -> None:
        """End as soon as it is not busy."""
        self._draining = True
        if not self.busy:
            self._reschedule(0)

    async def _serve_and_report(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Serve the client; where that ends early, tell the log and the client why."""
        try:
            await serve()
        except* ServerError as group:
            error = _first(group)
            assert isinstance(error, ServerError)
            _LOGGER.warning("%s: %s", self._peer, error)
            await self._close_with(error)
        except* self._disconnect_error as group:
            _LOGGER.debug("%s: gone: %s", self._peer, _first(group))
        except* Exception:
            _LOGGER.exception("%s: a fault of ours; the connection is closed", self._peer)
            await self._close_with(ServerError("the server has a fault; see its log"))

    async def _close_with(self, error: ServerError) -> None:
        """Tell the client why it is left."""
        raise NotImplementedError

    async def _read_event(
        self, read: Callable[[], Awaitable[T]], *, begun: bool = False
    ) -> T | None:
        """Return what the client sends next; None where it is we who end the stream.

        Args:
            begun: a part of it is here already.

        Raises:
            TooSlow: it did not come in time.
        """
        if self._draining and not self.busy:
            return None
        limits, session = self._limits, self._session
        listening = session is not None and session.listening
        self._timeout_seconds = limits.between_utterances
        if listening:
            self._timeout_seconds = limits.inside_utterance
        elif self.busy:
            self._timeout_seconds = None  # the wait is ours, until the answer has gone out
        elif begun or not self._any_event:
            self._timeout_seconds = limits.first_event
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
                    f"no whole event came within {seconds:g} s; closing the connection"
                ) from None
            raise TooSlow(
                f"nothing came for {self._timeout_seconds:g} s; closing the connection"
            ) from None
        finally:
            self._read_timeout = None

    def _event_received(self) -> None:
        """Something whole has come."""
        self._any_event = True
        self._last_activity = _now()
        self._event_deadline = None

    def _answer_sent(self) -> None:
        """From here on it is the client we wait for."""
        self._last_activity = _now()
        if self._session is not None and not self._session.listening:
            self._reschedule(0 if self._draining else self._limits.between_utterances)

    def _reschedule(self, seconds: float) -> None:
        """Give the read that runs this long from now."""
        if self._read_timeout is not None and not self._read_timeout.expired():
            self._timeout_seconds = seconds
            self._read_timeout.reschedule(self._deadline(seconds))

    def _deadline(self, seconds: float | None) -> float | None:
        """The time when the seconds have passed, or what has begun is due."""
        if seconds is None:
            return self._event_deadline
        end = _now() + seconds
        return end if self._event_deadline is None else min(end, self._event_deadline)


async def drain_all(clients: Mapping[asyncio.Task[Any], ClientLifecycle], seconds: float) -> None:
    """Let running utterances end within seconds, then end all visits.

    Args:
        clients: by the task that each runs in.
    """
    for client in clients.values():
        client.drain()
    if clients:
        _, late = await asyncio.wait(clients, timeout=seconds)
        for task in late:
            _LOGGER.warning("%r did not end in time", clients[task])
            task.cancel()
        if late:
            await asyncio.wait(late)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
