"""WebSocket transport for a browser's microphone. docs/web.md describes the messages."""

from __future__ import annotations

import json
from typing import Any

from starlette.websockets import WebSocket

from ...audio.pcm import PcmFormat
from ...errors import ProtocolError, ServerError, TooSlow, printable
from ...session.events import Answer, Event, PartialText
from ...session.request import Request
from ...session.session import Session, SessionContext
from ..admission import Admission
from ..lifecycle import ClientLimits
from .credentials import principal_of
from .socket_client import GOING_AWAY, SocketClient
from .sockets import Sockets

_LARGEST_MESSAGE = 1024 * 1024  # bytes; the same limit as a Wyoming payload
_TOO_BIG = 1009  # close code of RFC 6455


class _MessageTooBig(ProtocolError):
    """A WebSocket message exceeds the limit."""


class SpeechSockets:
    """Serves the WebSockets of the page. Lives on the event loop.

    Args:
        context: what all sessions share.
        limits: time and size limits for each browser.
        admission: admission control. Browsers are counted separately from Wyoming clients.
    """

    def __init__(
        self, context: SessionContext, limits: ClientLimits, admission: Admission
    ) -> None:
        self._context = context
        self._limits = limits
        self.sockets = Sockets(admission)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one WebSocket until it ends. Endpoint of a WebSocketRoute."""
        await self.sockets.serve(SpeechSocket(websocket, self._context, self._limits))


class SpeechSocket(SocketClient):
    """One browser's WebSocket, from its first message to its last. Lives on the event loop."""

    # The page offers it beside its key: a browser needs a protocol that the server accepts.
    protocol = "speech"

    def __init__(
        self, websocket: WebSocket, context: SessionContext, limits: ClientLimits
    ) -> None:
        super().__init__(websocket, context, limits, principal_of(websocket.scope))
        self._pcm: PcmFormat | None = None  # format given by the last "start" message
        self._text = ""  # partial text of the current utterance that has been sent

    async def _receive(self, session: Session) -> None:
        while (message := await self._message()) is not None:
            self._event_received()
            await self._take(message, session)
        session.abort()
        await session.answered()
        await self._close(GOING_AWAY, "the server is stopping" if self._draining else "")

    async def _message(self) -> str | bytes | None:
        """Return the next message; None if the browser has disconnected or the server drains it.

        Raises:
            TooSlow: no message arrived in time.
            ProtocolError: the message is too large.
        """
        try:
            message = await self._read_event(self._websocket.receive)
        except TooSlow:
            raise TooSlow("no audio arrived for too long; press the button again") from None
        if message is None or message["type"] == "websocket.disconnect":
            return None
        data: str | bytes = message["text"] if message.get("bytes") is None else message["bytes"]
        if len(data) > _LARGEST_MESSAGE:
            raise _MessageTooBig(
                f"a message has {len(data)} bytes; the limit is {_LARGEST_MESSAGE}"
            )
        return data

    async def _take(self, message: str | bytes, session: Session) -> None:
        if isinstance(message, bytes):
            await self._receive_audio(message, session)
            return
        wanted = _read(message)
        match wanted.get("type"):
            case "start":
                self._pcm = PcmFormat(rate=_whole(wanted, "rate"))
                session.request(Request(language=_language(wanted)))
                await session.start(self._pcm)
            case "stop":
                await session.stop()
            case other:
                raise ProtocolError(f"unknown message type {printable(other, 20)!r}")

    async def _receive_audio(self, data: bytes, session: Session) -> None:
        if self._pcm is None:
            raise ProtocolError(
                f"{len(data)} bytes of audio came before a start message gave their format"
            )
        if session.listening:  # else the server ended the turn, and the browser does not know yet
            await session.audio(self._pcm, data)

    async def _send_event(self, event: Event) -> None:
        match event:
            case PartialText(text=text):
                self._text += text
                await self._send({"type": "partial", "text": self._text})
            case Answer(transcript=transcript, record=record):
                self._text = ""
                await self._send(
                    {
                        "type": "final",
                        "text": transcript.text,
                        "language": transcript.language,
                        "heard": record.heard,
                        "wait": record.wait,
                        "guess": record.guess,
                    }
                )

    def _error_message(self, error: ServerError) -> dict[str, Any]:
        return {"type": "error", "code": error.code, "text": str(error)}

    def _close_code(self, error: ServerError) -> int:
        return _TOO_BIG if isinstance(error, _MessageTooBig) else super()._close_code(error)


def _read(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"{printable(text, 40)!r} is not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError(f"{printable(text, 40)!r} is not a JSON object")
    return message


def _whole(message: dict[str, Any], key: str) -> int:
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"{key} is {printable(value, 20)!r}; it must be a whole number")
    return value


def _language(message: dict[str, Any]) -> str | None:
    language = message.get("language")
    if not isinstance(language, str | None):
        raise ProtocolError("language must be a string")
    return language
