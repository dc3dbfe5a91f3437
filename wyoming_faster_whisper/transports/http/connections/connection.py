"""One HTTP connection: uvicorn's protocol with limits, and with OpenAI's error objects."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ....errors import printable
from ....principal import Principal
from ...rejections import Rejections
from ...tls import certificate_names
from ..api_errors import ApiError, error_body, error_headers
from ..credentials import CERTIFICATE_NAMES
from .unread import UnreadWatch
from .websocket import MessageMemory, WebSocketConnection, WebSocketRules

_TLS_HANDSHAKE = b"\x16"  # first byte of a TLS connection (RFC 8446, section 5.1)
_WYOMING_EVENT = b"{"  # its first byte; no HTTP method begins so (RFC 9110, section 9.1)
# Bytes read at a time. h11 takes a second for the usual 256 KiB if they are chunks of one byte.
_READ = 16 * 1024
_SEND_BUFFER = 64 * 1024  # bytes; with the usual megabytes, slow reading looks like none
_LAST_SECONDS = 1.5  # for running responses while the server stops


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """Limits for each connection, and for their number."""

    head: float = 10.0  # seconds for a TLS handshake, and for a request's headers to be complete
    write: float = 10.0  # seconds in which the client has to read something of its response
    most: int = 512  # open connections; each kind of request has lower limits of its own
    per_address: int = 256  # of them, from one address
    websocket: WebSocketRules = field(default_factory=WebSocketRules)


class OpenConnection:
    """An open connection, as admission control sees it.

    Args:
        principal: the client, by its address.
        transport: of the TCP connection.
        others: the open connections, of which this one is or becomes one.
    """

    idle = 0.0  # a connection with a request is never evicted

    def __init__(
        self,
        principal: Principal,
        transport: asyncio.Transport,
        others: MutableMapping[OpenConnection, None],
    ) -> None:
        self.principal = principal
        self.transport = transport
        self.silent = True  # no request is complete
        self._others = others

    def closed(self) -> None:
        """Count the connection no more."""
        self._others.pop(self, None)


class HttpConnection(H11Protocol):
    """One connection, until it ends or becomes a WebSocket. Lives on the event loop.

    Args:
        config: uvicorn's.
        state: uvicorn's, of the server.
        opened: told when the request is complete, and when the connection ends.
        rules: limits to enforce.
        memory: for the messages of all WebSockets.
        rejections: log of the connections that are refused or ended.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        opened: OpenConnection,
        rules: ConnectionRules,
        memory: MessageMemory,
        rejections: Rejections[str],
    ) -> None:
        super().__init__(config, state, app_state={})
        # Of the TCP connection: that of TLS loses its buffer with the connection.
        self._unread = UnreadWatch(opened.transport, rules.write, rejections.add)
        self.ws_protocol_class = partial(  # type: ignore[assignment]
            WebSocketConnection,
            rules=rules.websocket,
            unread=self._unread,
            memory=memory,
            rejections=rejections,
            on_lost=opened.closed,
        )
        self._opened = opened
        self._rules = rules
        self._rejections = rejections
        self._end: asyncio.TimerHandle | None = None  # while the server stops

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if names := certificate_names(transport.get_extra_info("peercert")):
            self.app_state = {CERTIFICATE_NAMES: names}
        self._due = self.loop.call_later(self._rules.head, transport.abort)
        transport.max_size = _READ
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER
        )

    def data_received(self, data: bytes) -> None:
        if self.scope is None and data[:1] == _TLS_HANDSHAKE:
            self._rejections.add("a client speaks https, but this port is http; see --tls-cert")
            self.transport.abort()
            return
        first = self.scope is None and not self.conn.trailing_data[0]
        if first and data[:1] == _WYOMING_EVENT:
            # h11 would wait for the end of the headers, while the client waits for an answer.
            self.refuse(ApiError(400, "this port speaks HTTP, not Wyoming; see --uri"))
            return
        super().data_received(data)
        if self.scope is not None:
            self._due.cancel()
            self._opened.silent = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._due.cancel()
        self._unread.stop()
        if self._end is not None:
            self._end.cancel()
        self._opened.closed()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        self._unread.start()  # the transport closes when the client has read everything

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()  # uvicorn calls this where it catches h11's error
        assert isinstance(error, h11.RemoteProtocolError)
        status = 431 if error.error_status_hint == 431 else 400
        self.refuse(ApiError(status, f"the request is not HTTP/1.1: {printable(error)}"))

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, WebSocketConnection)
        if not protocol.handshake_initiated:  # uvicorn would leave the client waiting
            why = protocol.conn.handshake_exc
            self.refuse(ApiError(400, f"the WebSocket handshake is wrong: {printable(why)}"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.start()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unread.start()

    def shutdown(self) -> None:
        super().shutdown()
        self._end = self.loop.call_later(_LAST_SECONDS, self.transport.abort)

    def refuse(self, error: ApiError) -> None:
        """Send an error, unless a response has begun; then close the connection."""
        self._rejections.add(error.message)
        cycle = self.cycle
        if cycle is None or not cycle.response_started:
            self.transport.write(_response(error))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()
        self._unread.start()


def _response(error: ApiError) -> bytes:
    body = json.dumps(error_body(error)).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **error_headers(error),
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
