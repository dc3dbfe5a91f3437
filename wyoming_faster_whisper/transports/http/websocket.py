"""WebSocket transport for a browser's microphone. docs/web.md describes the messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from dataclasses import replace
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ...audio.pcm import PcmFormat
from ...errors import (
    AudioError,
    Busy,
    ProtocolError,
    ServerError,
    TooSlow,
    printable,
)
from ...session.events import Answer, Notice, PartialText
from ...session.record import UtteranceRecord
from ...session.request import Request
from ...session.session import Session, SessionContext
from ..admission import Admission, normalised_host
from ..lifecycle import ClientLifecycle, ClientLimits, drain_all

_LOGGER = logging.getLogger(__name__)

_PIECE = 64 * 1024  # bytes of audio converted at once before other clients get their turn
_LONGEST_REASON = 120  # bytes; the WebSocket protocol allows 123

# Close codes of RFC 6455 and of the IANA registry.
_GOING_AWAY = 1001
_POLICY = 1008
_INTERNAL = 1011
_TRY_LATER = 1013


class SpeechSockets:
    """Accepts WebSockets and serves them until they end. Lives on the event loop.

    Args:
        shared: what all sessions share.
        limits: time and size limits for each browser.
        admission: admission control. Browsers are counted separately from Wyoming clients.
    """

    def __init__(
        self, shared: SessionContext, limits: ClientLimits, admission: Admission
    ) -> None:
        self._shared = shared
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
        socket = SpeechSocket(websocket, self._shared, self._limits)
        try:
            gives_way = self._admit(socket)
        except ServerError as error:
            await socket.refuse(error)
            return
        if gives_way is not None:
            gives_way.drain()
        self._sockets[task] = socket
        try:
            await socket.run()
        finally:
            del self._sockets[task]

    def _admit(self, socket: SpeechSocket) -> SpeechSocket | None:
        if self._stopping:
            raise Busy("the server is stopping")
        return self._admission.admit(socket.host, self._sockets.values())

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
        self, websocket: WebSocket, shared: SessionContext, limits: ClientLimits
    ) -> None:
        client = websocket.client
        super().__init__(
            limits,
            peer=f"{client.host}:{client.port}" if client else "web",
            disconnect_error=WebSocketDisconnect,
        )
        self.host = normalised_host(client.host) if client else ""
        self._websocket = websocket
        # A user of the page wants to see partial text. "auto" makes it yield to other clients.
        partials = "auto" if shared.partials == "off" else shared.partials
        self._shared = replace(shared, observe=self._observe, partials=partials)
        self._observed = shared.observe
        self._pcm: PcmFormat | None = None  # format given by the last "start" message
        self._record: UtteranceRecord | None = None  # record of the answer that is sent next
        self._text = ""  # partial text of the current utterance that has been sent
        self._outbox: deque[dict[str, Any]] = deque()  # messages to send, in order
        self._sending = asyncio.Lock()  # held by the task that empties the outbox

    async def refuse(self, error: ServerError) -> None:
        """Accept the WebSocket only to send the reason for the refusal, then close it."""
        _LOGGER.warning("%s: %s", self._peer, error)
        await self._websocket.accept()
        await self._close_with(error)

    async def run(self) -> None:
        """Serve the browser until it disconnects or an error ends the connection.

        Raises only CancelledError.
        """
        await self._websocket.accept()
        await self._serve_and_report(self._serve)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:

            def tell(notice: Notice) -> None:
                if isinstance(notice, PartialText):
                    self._text += notice.text
                    self._outbox.append({"type": "partial", "text": self._text})
                    tasks.create_task(self._send())

            session = Session(
                self._shared, tasks, self._send_answer, notify=tell, name=self._peer
            )
            self._session = session
            try:
                while (message := await self._message()) is not None:
                    self._event_received()
                    await self._take(message, session)
            finally:
                session.abort()
        await self._close(_GOING_AWAY, "the server is stopping" if self._draining else "")

    async def _message(self) -> str | bytes | None:
        """Return the next message; None if the browser has disconnected or the server drains it.

        Raises:
            TooSlow: no message arrived in time.
        """
        try:
            message = await self._read_event(self._websocket.receive)
        except TooSlow:
            raise TooSlow("no audio arrived for too long; press the button again") from None
        if message is None or message["type"] == "websocket.disconnect":
            return None
        data = message.get("bytes")
        return data if data is not None else str(message["text"])

    async def _take(self, message: str | bytes, session: Session) -> None:
        if isinstance(message, bytes):
            await self._receive_audio(message, session)
            return
        wanted = _read(message)
        match wanted.get("type"):
            case "start":
                self._pcm = PcmFormat(rate=_whole(wanted, "rate"))
                if session.two_pending:
                    await session.answered()
                session.request(Request(language=_language(wanted)))
                session.start(self._pcm)
            case "stop":
                # One answer at a time: a client that sends faster than we decode is throttled.
                await session.answered()
                session.stop()
            case other:
                raise ProtocolError(f"unknown message type {printable(other, 20)!r}")

    async def _receive_audio(self, data: bytes, session: Session) -> None:
        if self._pcm is None:
            raise ProtocolError(
                f"{len(data)} bytes of audio came before a start message gave their format"
            )
        if not session.listening:
            return  # the server ended the turn, and the browser does not know it yet
        for at in range(0, len(data), _PIECE):
            session.audio(self._pcm, data[at : at + _PIECE])
            await asyncio.sleep(0)
        if session.at_limit:
            await session.answered()
            session.answer_truncated()

    async def _send_answer(self, answer: Answer) -> None:
        transcript, record = answer.transcript, self._record
        assert record is not None
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
        self._answer_sent()

    def _observe(self, record: UtteranceRecord) -> None:
        self._record = record
        self._observed(record)

    async def _send(self, *messages: dict[str, Any]) -> None:
        """Send messages, after those that wait in the outbox.

        Raises:
            TooSlow: the browser does not read.
        """
        self._outbox.extend(messages)
        try:
            async with asyncio.timeout(self._limits.write), self._sending:
                while self._outbox:
                    await self._websocket.send_json(self._outbox.popleft())
        except TimeoutError:
            raise TooSlow(
                f"the browser did not read for {self._limits.write:g} s; closing the connection"
            ) from None

    async def _close_with(self, error: ServerError) -> None:
        self._shared.count_error(error.code)
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
    if isinstance(error, Busy):
        return _TRY_LATER
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
