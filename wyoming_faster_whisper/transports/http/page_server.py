"""Server of the web page and its WebSocket."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from ...session.session import SessionContext
from ..admission import Admission
from ..lifecycle import ClientLimits
from .origin_check import OriginCheck
from .page import ServerDescription, build_page
from .server import HttpServer
from .websocket import SpeechSockets


class PageServer:
    """The page and its WebSocket, on one address. The constructor blocks: it reads files.

    Args:
        context: what all sessions share.
        limits: time and size limits for each browser.
        about: what the page shows about the server.
        names: names of this server besides localhost; IP addresses are always accepted.
        admission: admission control, with the same rules as for the Wyoming port.
        tls: context for TLS; None = plain HTTP.
    """

    def __init__(
        self,
        context: SessionContext,
        limits: ClientLimits,
        about: ServerDescription,
        *,
        names: Iterable[str],
        admission: Admission,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._speech = SpeechSockets(context, limits, admission)
        app = build_page(self._speech, about, OriginCheck(names))
        self._server = HttpServer(
            app,
            option="--web-port",
            request_timeout=limits.first_event,
            admission=admission,
            tls=tls,
        )
        self.url: str | None = None  # None until start()

    @property
    def connections(self) -> int:
        """Number of open WebSockets."""
        return self._speech.connections

    async def start(self, host: str, port: int) -> str:
        """Start to listen, and return the URL with the real port.

        Raises:
            SettingError: listening on the address is not possible.
        """
        self.url = await self._server.start(host, port)
        return self.url

    async def stop(self, seconds: float) -> None:
        """Let running utterances end, then close all connections and stop listening.

        Args:
            seconds: time for running utterances to end.
        """
        await self._speech.drain(seconds)
        await self._server.stop()
