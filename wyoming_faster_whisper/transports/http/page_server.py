"""All that is served over HTTP, from start to stop."""

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
    """The page and its WebSocket, on one address. Blocking to make: it reads files.

    Args:
        names: by which browsers may reach it, beside localhost and any address.
        admission: whom it lets in, as the Wyoming port does.
        tls: None for plain HTTP.
    """

    def __init__(
        self,
        shared: SessionContext,
        limits: ClientLimits,
        about: ServerDescription,
        *,
        names: Iterable[str],
        admission: Admission,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._speech = SpeechSockets(shared, limits, admission)
        app = build_page(self._speech, about, OriginCheck(names))
        self._server = HttpServer(
            app,
            option="--web-port",
            request_timeout=limits.first_event,
            admission=admission,
            tls=tls,
        )
        self.url: str | None = None  # once it has started

    @property
    def connections(self) -> int:
        """Browsers that speak, or wait for an answer."""
        return self._speech.connections

    async def start(self, host: str, port: int) -> str:
        """Listen; return the URL with the real port.

        Raises:
            SettingError: the address cannot be listened on.
        """
        self.url = await self._server.start(host, port)
        return self.url

    async def stop(self, seconds: float) -> None:
        """Let running utterances end within seconds, then close all."""
        await self._speech.drain(seconds)
        await self._server.stop()
