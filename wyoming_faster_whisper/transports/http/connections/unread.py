"""Ends a connection whose client reads nothing of what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class UnreadWatch:
    """Checks that a client reads. A transport is closed only once the client has read everything.

    Lives on the event loop.

    Args:
        transport: of the connection; aborted if the client reads nothing.
        seconds: in which the client has to read something.
        report: called with the reason before the transport is aborted.
    """

    def __init__(
        self, transport: asyncio.Transport, seconds: float, report: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._seconds = seconds
        self._report = report
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch until the client has read everything. Does nothing if it watches already."""
        if self._timer is None:
            self._check(-1)

    def stop(self) -> None:
        """Stop watching: the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self, before: int) -> None:
        unread = self._transport.get_write_buffer_size()
        self._timer = None
        if unread and unread == before:
            self._report(f"a client read nothing of its response for {self._seconds:g} s")
            self._transport.abort()
        elif unread:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._check, unread)
