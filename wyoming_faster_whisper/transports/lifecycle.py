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
class Limits:
    """How long and how much we bear with one client."""

    frame: FrameLimits = field(default_factory=FrameLimits)
    first_event: float = 10.0  # seconds for a whole event; who connects wants something
    between: float = 300.0  # seconds between two utterances
    inside: float = 30.0  # seconds without sound inside an utterance, and for a whole event there
    write: float = 10.0  # seconds that a client may take to read an answer
    linger: float = 1.0  # seconds that a client may take to read why we close


class Visit:
    """What transports have in common: they wait for a client so long and no longer.

    Args:
        peer: what the log calls it.
        gone: what reading and writing raise when it has left.
    """

    def __init__(self, limits: Limits, *, peer: str, gone: type[Exception] = OSError) -> None:
        self._limits = limits
        self._peer = peer
        self._gone = gone
        self._session: Session | None = None
        self._heard_of = False  # something whole has come
        self._since = _now()  # when it last did, or an answer went out
        self._due: float | None = None  # when what has begun must be whole
        self._draining = False
        self._patience: asyncio.Timeout | None = None  # with the read that runs
        self._seconds: float | None = None  # that it has; None = no limit

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._peer}, {self._session!r}>"

    @property
    def silent(self) -> bool:
        """Nothing whole has ever come."""
        return not self._heard_of

    @property
    def idle(self) -> float:
        """Seconds since the client wanted something of us; 0 while it does."""
        return 0.0 if self.busy else _now() - self._since

    @property
    def busy(self) -> bool:
        """Inside an utterance, or with an answer on its way."""
        session = self._session
        return session is not None and (session.listening or session.answering)

    def drain(self) -> None:
        """End as soon as it is not busy."""
        self._draining = True
        if not self.busy:
            self._allow(0)

    async def _explained(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Serve the client; where that ends early, tell the log and the client why."""
        try:
            await serve()
        except* ServerError as group:
            error = _first(group)
            assert isinstance(error, ServerError)
            _LOGGER.warning("%s: %s", self._peer, error)
            await self._give_up(error)
        except* self._gone as group:
            _LOGGER.debug("%s: gone: %s", self._peer, _first(group))
        except* Exception:
            _LOGGER.exception("%s: a fault of ours; the connection is closed", self._peer)
            await self._give_up(ServerError("the server has a fault; see its log"))

    async def _give_up(self, error: ServerError) -> None:
        """Tell the client why it is left."""
        raise NotImplementedError

    async def _next(self, read: Callable[[], Awaitable[T]], *, begun: bool = False) -> T | None:
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
        self._seconds = limits.between
        if listening:
            self._seconds = limits.inside
        elif self.busy:
            self._seconds = None  # the wait is ours, until the answer has gone out
        elif begun or not self._heard_of:
            self._seconds = limits.first_event
        if self._due is None and (begun or not self._heard_of):
            self._due = _now() + (self._seconds or limits.first_event)
        try:
            async with asyncio.timeout_at(self._until(self._seconds)) as self._patience:
                return await read()
        except TimeoutError:
            if self._draining:
                return None
            if self._due is not None:
                seconds = limits.inside if listening else limits.first_event
                raise TooSlow(
                    f"no whole event came within {seconds:g} s; closing the connection"
                ) from None
            raise TooSlow(
                f"nothing came for {self._seconds:g} s; closing the connection"
            ) from None
        finally:
            self._patience = None

    def _came(self) -> None:
        """Something whole has come."""
        self._heard_of = True
        self._since = _now()
        self._due = None

    def _answer_is_out(self) -> None:
        """From here on it is the client we wait for."""
        self._since = _now()
        if self._session is not None and not self._session.listening:
            self._allow(0 if self._draining else self._limits.between)

    def _allow(self, seconds: float) -> None:
        """Give the read that runs this long from now."""
        if self._patience is not None and not self._patience.expired():
            self._seconds = seconds
            self._patience.reschedule(self._until(seconds))

    def _until(self, seconds: float | None) -> float | None:
        """The time when the seconds have passed, or what has begun is due."""
        if seconds is None:
            return self._due
        end = _now() + seconds
        return end if self._due is None else min(end, self._due)


async def see_out(visits: Mapping[asyncio.Task[Any], Visit], seconds: float) -> None:
    """Let running utterances end within seconds, then end all visits.

    Args:
        visits: by the task that each runs in.
    """
    for visit in visits.values():
        visit.drain()
    if visits:
        _, late = await asyncio.wait(visits, timeout=seconds)
        for task in late:
            _LOGGER.warning("%r did not end in time", visits[task])
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
