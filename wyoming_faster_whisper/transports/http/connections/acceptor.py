"""Accepts HTTP connections: admission control, the TLS handshake, then HTTP.

A connection counts from its first packet. If there are too many, the oldest one that has not sent
a complete request is closed for a new one, so handshakes and requests that never end cannot lock
other clients out.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from ....errors import Busy, NotAllowed
from ....principal import Principal
from ...admission import Admission, normalised_host
from ...rejections import Rejections
from ..api_errors import ApiError
from .connection import ConnectionRules, HttpConnection, OpenConnection
from .websocket import MessageMemory


class Acceptor:
    """Accepts the connections of one server. Lives on the event loop.

    Args:
        config: uvicorn's.
        state: uvicorn's, of the server.
        rules: limits to enforce.
        admission: its allowed networks apply here.
        rejections: log of the connections that are refused.
        tls: context for TLS; None = plain HTTP.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        rules: ConnectionRules,
        admission: Admission,
        rejections: Rejections[str],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._config = config
        self._state = state
        self._rules = rules
        self._admission = replace(
            admission, max_connections=rules.most, max_per_address=rules.per_address
        )
        self._rejections = rejections
        self._tls = tls
        self._memory = MessageMemory()
        self._open: dict[OpenConnection, None] = {}  # oldest first
        self._handshakes: set[asyncio.Task[None]] = set()

    def protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Arriving(self)

    def close(self) -> None:
        """End the TLS handshakes."""
        for task in self._handshakes:
            task.cancel()

    def accept(self, transport: asyncio.Transport) -> None:
        """Serve a new connection, or refuse it."""
        host = normalised_host(transport.get_extra_info("peername")[0])
        opened = OpenConnection(Principal(host, host), transport, self._open)
        try:
            self._admission.check_network(
                host, normalised_host(transport.get_extra_info("sockname")[0])
            )
            evicted = self._admission.admit(opened.principal, self._open)
        except NotAllowed as error:
            self._rejections.add(str(error))
            transport.abort()
        except Busy as error:
            self._refuse(transport, opened, error)
        else:
            self._open[opened] = None
            if evicted is not None:
                self._rejections.add(
                    f"evicted {evicted.principal.key}, which sent no complete request"
                )
                evicted.transport.abort()
                evicted.closed()
            if self._tls is None:
                self._http(opened, transport)
            else:
                task = asyncio.create_task(self._shake_hands(transport, opened, self._tls))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)

    def _refuse(self, transport: asyncio.Transport, opened: OpenConnection, error: Busy) -> None:
        if self._tls is not None:  # the reason could be sent only after a handshake
            self._rejections.add(str(error))
            transport.abort()
            return
        self._http(opened, transport).refuse(
            ApiError(
                503, str(error), type="server_error", code="too_many_connections", retry_after=1
            )
        )

    def _http(self, opened: OpenConnection, transport: asyncio.Transport) -> HttpConnection:
        """Begin to speak HTTP over a connection."""
        http = HttpConnection(
            self._config, self._state, opened, self._rules, self._memory, self._rejections
        )
        transport.set_protocol(http)
        http.connection_made(transport)
        return http

    async def _shake_hands(
        self, transport: asyncio.Transport, opened: OpenConnection, tls: ssl.SSLContext
    ) -> None:
        early, encrypted = _Early(), None
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport, early, tls, server_side=True, ssl_handshake_timeout=self._rules.head
            )
        except OSError:
            pass  # the client left, is too slow, or does not speak TLS
        finally:
            if encrypted is None or early.lost:
                opened.closed()
                transport.abort()
            else:
                http = self._http(opened, encrypted)
                if early.data:
                    http.data_received(bytes(early.data))


class _Arriving(asyncio.Protocol):
    """Protocol of a connection that has not been accepted yet."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor

    def connection_made(self, transport: Any) -> None:
        self._acceptor.accept(transport)


class _Early(asyncio.Protocol):
    """Keeps what arrives between the end of the TLS handshake and the beginning of HTTP."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
