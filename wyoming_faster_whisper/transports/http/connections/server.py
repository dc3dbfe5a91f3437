"""HTTP server on the running event loop: uvicorn's protocols without its main loop.

The main loop is not used because it installs signal handlers and wakes up ten times a second.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ....errors import not_listening
from ...admission import Admission
from ...rejections import Rejections
from .acceptor import Acceptor
from .connection import ConnectionRules
from .listening import ListeningSocket

_LOGGER = logging.getLogger(__name__)

_MESSAGE = 16 * 1024 * 1024  # bytes of one WebSocket message; transports may allow less
_HEAD = 16 * 1024  # bytes of a request line with its headers
_BACKLOG = 1024  # connections that the system accepts before the server does
_SHUTDOWN_SECONDS = 5  # until uvicorn cancels requests; connection.py ends them before
_RULES = ConnectionRules()


class HttpServer:
    """Server of one application on one address. Lives on the event loop.

    Args:
        app: the application.
        options: the prefix of the options that set host and port, for error texts and the log.
        rules: limits for each connection; uvicorn has none of them.
        admission: admission control; only its allowed networks apply here. None = all networks.
        tls: context for TLS; None = plain HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        options: str,
        rules: ConnectionRules = _RULES,
        admission: Admission | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host_option, self._port_option = f"{options}-host", f"{options}-port"
        self._scheme = "https" if tls else "http"
        self._rejections = Rejections(self._log_rejections)
        config = uvicorn.Config(
            _one_request(app),
            http="h11",
            ws="websockets-sansio",
            ws_max_size=_MESSAGE,
            # Compression gains nothing on the same machine or network, and a small compressed
            # message can unpack to a very large one.
            ws_per_message_deflate=False,
            # A pong waits behind the audio of a client that sends faster than the model decodes.
            # Lost clients are noticed by the time limits of the transports.
            ws_ping_timeout=None,
            h11_max_incomplete_event_size=_HEAD,
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._acceptor = Acceptor(
            config,
            self._server.server_state,
            rules,
            admission or Admission(),
            self._rejections,
            tls,
        )
        self._listening: ListeningSocket | None = None
        self._started = False

    def refused(self) -> None:
        """Count a refused client; above a rate, stop accepting for a moment."""
        if self._listening is not None:
            self._listening.refused()

    async def start(self, host: str, port: int) -> str:
        """Start to listen, and return the URL with the real port.

        Raises:
            ServerError: listening on the address is not possible.
        """
        try:
            listening = await _listen(host, port)
        except OSError as error:
            option = self._host_option if _is_about_the_host(error) else self._port_option
            raise not_listening(f"{host}, port {port}", error, option) from None
        self._listening = ListeningSocket(listening, self._acceptor.protocol, _BACKLOG)
        self._server.servers = [self._listening]  # type: ignore[list-item]
        self._started = True
        shown = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{shown}:{listening.getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening and close the open connections."""
        if self._started:
            self._started = False
            self._rejections.stop()
            self._acceptor.close()
            await self._server.shutdown()

    def _log_rejections(self, count: int, why: str) -> None:
        _LOGGER.warning("connections rejected on %s: %d; %s", self._port_option, count, why)


def _one_request(app: ASGIApp) -> ASGIApp:
    """Close the connection after each response, so that idle ones do not count as concurrent."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, close)

    return serve


def _is_about_the_host(error: OSError) -> bool:
    return isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL


async def _listen(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    family, _, _, _, address = found[0]
    return socket.create_server(address, family=family, dualstack_ipv6=host == "::")
