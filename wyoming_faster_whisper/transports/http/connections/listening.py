"""A listening socket that accepts connections at a limited rate while clients are refused.

A refused request takes about a millisecond of the event loop, on which commands are served too.
So while many clients are refused, the server accepts connections only as fast as it can
refuse them in a small part of its time. The others wait in the system's backlog, at no cost, and
those that do not fit are dropped by the kernel.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from ...token_bucket import TokenBucket

_LOGGER = logging.getLogger(__name__)

_REFUSALS = 100.0  # per second: about a tenth of a core
_BURST = 100  # refusals that are not slowed down, as of a program with an old key
_AT_ONCE = 8  # connections accepted before other work gets its turn
_RETRY = 1.0  # seconds until connections are accepted again after the system had no resources
# The system has too few files or too little memory for another connection.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListeningSocket:
    """Accepts connections. Lives on the event loop.

    Args:
        listening: a bound socket that does not block.
        protocol: makes the protocol of a new connection.
        backlog: connections that may wait in the system.
    """

    def __init__(
        self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], backlog: int
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._rate = TokenBucket(_REFUSALS, _BURST)
        self._resume: asyncio.TimerHandle | None = None  # while no connection is accepted
        self._beginning: set[asyncio.Task[object]] = set()
        self._closed = False
        listening.setblocking(False)
        listening.listen(backlog)
        self._loop.add_reader(listening, self._accept)

    @property
    def paused(self) -> bool:
        """True while connections wait because many clients are refused."""
        return self._resume is not None

    def refused(self) -> None:
        """Count a refused client; above a rate, stop accepting for a moment."""
        if delay := self._rate.delay(1, self._loop.time()):
            self._pause(delay)

    def close(self) -> None:
        """Stop listening."""
        if self._closed:
            return
        self._closed = True
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    async def wait_closed(self) -> None:
        """Wait until the connections that were accepted last have begun."""
        if self._beginning:
            await asyncio.wait(self._beginning)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if self.paused:
                return
            try:
                connection, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _LOGGER.warning("no connection can be accepted: %s", error.strerror)
                self._pause(_RETRY)
                return
            connection.setblocking(False)
            task: asyncio.Task[object] = self._loop.create_task(
                self._loop.connect_accepted_socket(self._protocol, connection)
            )
            self._beginning.add(task)
            task.add_done_callback(self._begun)

    def _begun(self, task: asyncio.Task[object]) -> None:
        self._beginning.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.debug("a connection ended before it began: %s", error)

    def _pause(self, seconds: float) -> None:
        if self._closed:
            return
        if self._resume is None:
            self._loop.remove_reader(self._listening)
        else:
            self._resume.cancel()
        self._resume = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._resume = None
        self._loop.add_reader(self._listening, self._accept)
