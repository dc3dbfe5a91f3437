"""One HTTP connection: uvicorn's protocol with limits, and with OpenAI's error objects."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ...errors import NotAllowed, printable
from ..admission import Admission, normalised_host
from ..rejections import Rejections
from ..tls import certificate_names
from .api_errors import ApiError, error_body, error_headers
from .credentials import CERTIFICATE_NAMES

_TLS_HANDSHAKE = b"\x16"  # first byte of a TLS connection (RFC 8446, section 5.1)
# Bytes read at a time. h11 takes a second for the usual 256 KiB if they are chunks of one byte.
_READ = 16 * 1024
_SEND_BUFFER = 64 * 1024  # bytes; with the usual megabytes, slow reading looks like none
_LAST_SECONDS = 1.5  # for running responses while the server stops


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """Limits for each connection, and for their number."""

    head: float = 10.0  # seconds for a request's headers to be complete
    write: float = 10.0  # seconds in which the client has to read something of its response
    # Open connections. Each kind of request has lower limits of its own.
    most: int = 512


def protocol_class(
    rules: ConnectionRules, admission: Admission, rejections: Rejections[str]
) -> type[H11Protocol]:
    """Make a protocol class that enforces rules, and reports the connections that it refuses."""

    class CarefulProtocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if names := certificate_names(transport.get_extra_info("peercert")):
                self.app_state = {**self.app_state, CERTIFICATE_NAMES: names}
            self._due = self.loop.call_later(rules.head, transport.abort)
            self._reading: asyncio.TimerHandle | None = None  # while the client has to read
            self._end: asyncio.TimerHandle | None = None  # while the server stops
            transport.max_size = _READ
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER
            )
            try:
                admission.check_network(normalised_host(transport.get_extra_info("peername")[0]))
            except NotAllowed as error:
                rejections.add(str(error))
                transport.abort()
                return
            if len(self.connections) > rules.most:
                self._refuse(
                    ApiError(
                        503,
                        f"{rules.most} connections are open already",
                        type="server_error",
                        code="too_many_connections",
                        retry_after=1,
                    )
                )

        def data_received(self, data: bytes) -> None:
            if self.scope is None and data[:1] == _TLS_HANDSHAKE:
                rejections.add("a client speaks https, but this port is http; see --tls-cert")
                self.transport.abort()
                return
            super().data_received(data)
            if self.scope is not None:
                self._due.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._due, self._reading, self._end):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            error = sys.exception()  # uvicorn calls this where it catches h11's error
            assert isinstance(error, h11.RemoteProtocolError)
            status = 431 if error.error_status_hint == 431 else 400
            self._refuse(ApiError(status, f"the request is not HTTP/1.1: {printable(error)}"))

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            super().handle_websocket_upgrade(event)
            protocol = self.transport.get_protocol()
            assert isinstance(protocol, WebSocketsSansIOProtocol)
            if not protocol.handshake_initiated:  # uvicorn would leave the client waiting
                why = protocol.conn.handshake_exc
                self._refuse(ApiError(400, f"the WebSocket handshake is wrong: {printable(why)}"))

        def pause_writing(self) -> None:
            super().pause_writing()
            self._expect_reading()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._expect_reading()

        def shutdown(self) -> None:
            super().shutdown()
            self._end = self.loop.call_later(_LAST_SECONDS, self.transport.abort)

        def _refuse(self, error: ApiError) -> None:
            """Send an error, unless a response has begun; then close the connection."""
            rejections.add(error.message)
            cycle = self.cycle
            if cycle is None or not cycle.response_started:
                self.transport.write(_response(error))
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
            self.transport.close()
            self._expect_reading()

        def _expect_reading(self) -> None:
            """Abort the connection when the client reads nothing for too long.

            It is closed only when the client has read everything, which may never happen.
            """
            if self._reading is None:
                self._check_reading(-1)

        def _check_reading(self, before: int) -> None:
            unread = self.transport.get_write_buffer_size()
            self._reading = None
            if unread and unread == before:
                rejections.add(f"a client read nothing of its response for {rules.write:g} s")
                self.transport.abort()
            elif unread:
                self._reading = self.loop.call_later(rules.write, self._check_reading, unread)

    return CarefulProtocol


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
