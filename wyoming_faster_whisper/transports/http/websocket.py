"""WebSocket transport for a browser's microphone. docs/web.md describes the messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ...audio.pcm import PcmFormat
from ...errors import (
    AudioError,
    Busy,
    NotAuthenticated,
    ProtocolError,
    ServerError,
    TooSlow,
    printable,
)
from ...session.events import Answer, Event, PartialText
from ...session.request import Request
from ...session.session import Session, SessionContext
from ..admission import Admission
from ..lifecycle import ClientLifecycle, ClientLimits, drain_all
from .credentials import principal_of

_LOGGER = logging.getLogger(__name__)

_LARGEST_MESSAGE = 1024 * 1024  # bytes; the same limit as a Wyoming payload
_LONGEST_REASON = 120  # bytes; the WebSocket protocol allows 123

# Close codes of RFC 6455 and of the IANA registry.
_GOING_AWAY = 1001
_POLICY = 1008
_TOO_BIG = 1009
_INTERNAL = 1011
_TRY_LATER = 1013
_UNAUTHENTICATED = 4001  # private use

# The page offers it beside its key, because a browser needs a protocol that the server accepts.
_PROTOCOL = "speech"


class _MessageTooBig(ProtocolError):
    """A WebSocket message exceeds the limit."""


class SpeechSockets:
    """Accepts WebSockets and serves them until they end. Lives on the event loop.

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
        self._admission = admission
        self._sockets: dict[asyncio.Task[Any], SpeechSocket] = {}
        self._stopping = False

    @property
    def connections(self) -> int:
        return len(self._sockets)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one WebSocket until it ends. Endpoint of a WebSocketRoute."""
        task = asyncio.current_task()
        assert task is not None
        socket = SpeechSocket(websocket, self._context, self._limits)
        try:
            evicted = self._admit(socket)
        except ServerError as error:
            await socket.refuse(error)
            return
        if evicted is not None:
            evicted.drain()
        self._sockets[task] = socket
        try:
            await socket.run()
        finally:
            del self._sockets[task]

    def _admit(self, socket: SpeechSocket) -> SpeechSocket | None:
        if self._stopping:
            raise Busy("the server is stopping")
        return self._admission.admit(socket.principal, self._sockets.values())

    async def drain(self, seconds: float) -> None:
        """Refuse new browsers, let running utterances end, then close all WebSockets.

        Args:
            seconds: time for running utterances to end.
        """
        self._stopping = True
        await drain_all(self._sockets, seconds)


class SpeechSocket(ClientLifecycle):
    """One browser's WebSocket, from its first message to its last. Lives on the event loop."""

    def __init__(
        self, websocket: WebSocket, context: SessionContext, limits: ClientLimits
    ) -> None:
        super().__init__(
            context,
            limits,
            principal_of(websocket.scope),
            disconnect_error=WebSocketDisconnect,
        )
        self._websocket = websocket
        self._pcm: PcmFormat | None = None  # format given by the last "start" message
        self._text = ""  # partial text of the current utterance that has been sent

    async def refuse(self, error: ServerError) -> None:
        """Accept the WebSocket only to send the reason for the refusal, then close it."""
        _LOGGER.warning("%s: %s", self.principal.name, error)
        await self._accept()
        await self._report(error)

    async def run(self) -> None:
        """Serve the browser until it disconnects or an error ends the connection.

        Raises only CancelledError.
        """
        await self._accept()
        # The page always shows partial text. "auto" decodes it only while the model is idle.
        partials = "auto" if self._context.partials == "off" else None
        await self._serve(partials=partials)

    async def _accept(self) -> None:
        offered = self._websocket.scope.get("subprotocols", ())
        await self._websocket.accept(_PROTOCOL if _PROTOCOL in offered else None)

    async def _receive(self, session: Session) -> None:
        while (message := await self._message()) is not None:
            self._event_received()
            await self._take(message, session)
        session.abort()
        await session.answered()
        await self._close(_GOING_AWAY, "the server is stopping" if self._draining else "")

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

    async def _send(self, message: dict[str, Any]) -> None:
        """Send a message.

        Raises:
            TooSlow: the browser does not read.
        """
        try:
            async with asyncio.timeout(self._limits.write):
                await self._websocket.send_json(message)
        except TimeoutError:
            raise TooSlow(
                f"the browser did not read for {self._limits.write:g} s; closing the connection"
            ) from None

    async def _close_with(self, error: ServerError) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TooSlow):
            await self._send({"type": "error", "code": error.code, "text": str(error)})
        await self._close(_close_code(error), str(error))

    async def _close(self, code: int, reason: str) -> None:
        # RuntimeError: the WebSocket is already closed.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(
                code, reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
            )


def _close_code(error: ServerError) -> int:
    if isinstance(error, _MessageTooBig):
        return _TOO_BIG
    if isinstance(error, Busy):
        return _TRY_LATER
    if isinstance(error, NotAuthenticated):
        return _UNAUTHENTICATED
    return _POLICY if isinstance(error, ProtocolError | AudioError | TooSlow) else _INTERNAL


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
