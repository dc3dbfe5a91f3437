"""Base class of the clients that connect by WebSocket: accepting, sending and closing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ...errors import AudioError, Busy, NotAuthenticated, ProtocolError, ServerError, TooSlow
from ...principal import Principal
from ...session.session import SessionContext
from ..lifecycle import ClientLifecycle, ClientLimits

_LOGGER = logging.getLogger(__name__)

_LONGEST_REASON = 120  # bytes; the WebSocket protocol allows 123

# Close codes of RFC 6455 and of the IANA registry.
GOING_AWAY = 1001
_POLICY = 1008
_INTERNAL = 1011
_TRY_LATER = 1013
_UNAUTHENTICATED = 4001  # private use


class SocketClient(ClientLifecycle):
    """A client with a WebSocket, from its first message to its last. Lives on the event loop.

    A subclass implements _receive(), _send_event() and _error_message().

    Args:
        websocket: not accepted yet.
        context: what all sessions share.
        limits: time limits.
        principal: the client.
    """

    protocol: str | None = None
    """WebSocket protocol (subprotocol) to choose if the client offers it."""

    continuous = False
    """Whether the client sends one endless stream; see Session."""

    def __init__(
        self,
        websocket: WebSocket,
        context: SessionContext,
        limits: ClientLimits,
        principal: Principal,
    ) -> None:
        super().__init__(context, limits, principal, disconnect_error=WebSocketDisconnect)
        self._websocket = websocket

    async def refuse(self, error: ServerError) -> None:
        """Accept the WebSocket only to send the reason for the refusal, then close it."""
        _LOGGER.warning("%s: %s", self.principal.name, error)
        await self._accept()
        await self._report(error)

    async def cut_off(self, error: ServerError) -> None:
        """Tell the client why run() was cancelled, for a short time only, and close."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.linger):
                await self._report(error)

    async def run(self) -> None:
        """Serve the client until it disconnects or an error ends the connection.

        Raises only CancelledError.
        """
        await self._accept()
        # These clients always get partial text. "auto" decodes it only while the model is idle.
        partials = "auto" if self._context.partials == "off" else None
        await self._serve(partials=partials, continuous=self.continuous)

    async def _accept(self) -> None:
        offered = self._websocket.scope.get("subprotocols", ())
        # A browser that offered protocols closes the connection if none is chosen.
        await self._websocket.accept(self.protocol if self.protocol in offered else None)

    def _error_message(self, error: ServerError) -> Mapping[str, Any]:
        """Return the message that reports an error before the WebSocket is closed."""
        raise NotImplementedError

    def _close_code(self, error: ServerError) -> int:
        if isinstance(error, Busy):
            return _TRY_LATER
        if isinstance(error, NotAuthenticated):
            return _UNAUTHENTICATED
        return _POLICY if isinstance(error, ProtocolError | AudioError | TooSlow) else _INTERNAL

    async def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message as JSON.

        Raises:
            TooSlow: the client does not read.
        """
        try:
            async with asyncio.timeout(self._limits.write):
                await self._websocket.send_text(json.dumps(message, separators=(",", ":")))
        except TimeoutError:
            raise TooSlow(
                f"the client did not read for {self._limits.write:g} s; closing the connection"
            ) from None

    async def _close_with(self, error: ServerError) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TooSlow):
            await self._send(self._error_message(error))
        await self._close(self._close_code(error), str(error))

    async def _close(self, code: int, reason: str) -> None:
        # RuntimeError: the WebSocket is already closed.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(
                code, reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
            )
