"""The open WebSockets of one route: admission, eviction and draining."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from ...errors import ServerError, Stopping
from ..admission import Admission
from ..lifecycle import drain_all
from .socket_client import SocketClient


class Sockets:
    """Clients that are connected by WebSocket. Lives on the event loop.

    Args:
        admission: admission control. These clients are counted separately from all others.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._clients: dict[asyncio.Task[Any], SocketClient] = {}
        self._stopping = False

    @property
    def clients(self) -> Collection[SocketClient]:
        """The connected clients, oldest connection first."""
        return self._clients.values()

    async def serve(self, client: SocketClient) -> None:
        """Serve a client in the current task until it ends, or refuse it."""
        try:
            evicted = self._admit(client)
        except ServerError as error:
            await client.refuse(error)
            return
        if evicted is not None:
            evicted.drain()
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = client
        try:
            await client.run()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            task.uncancel()
            await client.cut_off(Stopping())
        finally:
            del self._clients[task]

    def _admit(self, client: SocketClient) -> SocketClient | None:
        if self._stopping:
            raise Stopping
        return self._admission.admit(client.principal, self._clients.values())

    async def drain(self, seconds: float) -> None:
        """Refuse new clients, let running utterances end, then close all WebSockets.

        Args:
            seconds: time for running utterances to end.
        """
        self._stopping = True
        await drain_all(self._clients, seconds)
