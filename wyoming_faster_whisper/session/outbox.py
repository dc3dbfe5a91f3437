"""Events of a session on their way to the client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from .events import Event


class Outbox:
    """Events on their way to the client, in order. Lives on the event loop."""

    def __init__(self) -> None:
        self._events: deque[tuple[Event, asyncio.Future[None] | None]] = deque()
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    def put(self, event: Event, delivered: asyncio.Future[None] | None = None) -> None:
        """Add an event.

        Args:
            delivered: gets a result once the event has been delivered.
        """
        self._events.append((event, delivered))
        self._empty.clear()
        self._changed.set()

    async def emptied(self) -> None:
        """Wait until all events so far have been delivered."""
        await self._empty.wait()

    def close(self) -> None:
        """End events() after the events so far."""
        self._closed = True
        self._changed.set()

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events, until close(). Call it once.

        An event counts as delivered when the next one is requested.
        """
        while True:
            while self._events:
                event, delivered = self._events.popleft()
                yield event
                if delivered is not None and not delivered.done():
                    delivered.set_result(None)
            self._empty.set()
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
