"""One WebSocket connection: uvicorn's protocol with limits that it lacks.

uvicorn keeps every fragment of a message in a list, answers pings of a client that reads nothing,
and logs a traceback for text that is not UTF-8.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request

from ....errors import printable
from ...rejections import Rejections
from ...token_bucket import TokenBucket
from .unread import UnreadWatch

_NOT_UTF8 = 1007  # close codes of RFC 6455 and of the IANA registry
_TRY_LATER = 1013
_SMALL = 256 * 1024  # bytes of one connection that are always allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketRules:
    """Limits for the frames of each WebSocket."""

    frames: float = (
        1000.0  # frames per second that are read on average; beyond, reading is slower
    )
    burst: int = 2000  # frames that may come at once


class MessageMemory:
    """Memory of the messages that the application has not taken yet, of all WebSockets.

    Args:
        limit: bytes; beyond it, only small messages are allowed.
    """

    def __init__(self, limit: int = 64 * 1024 * 1024) -> None:
        self._limit = limit
        self.used = 0

    def change(self, before: int, now: int) -> bool:
        """Replace what a connection holds; return whether it may hold that much."""
        self.used += now - before
        return now <= _SMALL or self.used <= self._limit


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket, from its handshake to its end. Lives on the event loop.

    Args:
        config, server_state, app_state: uvicorn's.
        rules: limits to enforce.
        unread: started when the client has to read, stopped when the connection ends.
        memory: of all connections of the server.
        rejections: log of the connections that are ended.
        on_lost: called when the connection has ended.
    """

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        *,
        rules: WebSocketRules,
        unread: UnreadWatch,
        memory: MessageMemory,
        rejections: Rejections[str],
        on_lost: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._unread = unread
        self._memory = memory
        self._rejections = rejections
        self._on_lost = on_lost
        self._rate = TokenBucket(rules.frames, rules.burst)
        self._throttled: asyncio.TimerHandle | None = None  # while the client sends too much
        self._fragments = bytearray()  # of a message that is not complete
        self._queued: deque[int] = deque()  # bytes of each message in the queue
        self._processed = 0  # bytes of the message that the application processes
        self._waiting = 0  # bytes of both
        self._held = 0  # bytes counted in memory

    def connection_lost(self, exc: Exception | None) -> None:
        if self._throttled is not None:
            self._throttled.cancel()
        self._unread.stop()
        self._on_lost()
        super().connection_lost(exc)
        self._hold()

    def eof_received(self) -> None:
        self._unread.start()  # the transport closes when the client has read everything

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._unread.start()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.start()
        self.transport.pause_reading()  # each ping would add a pong

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_again()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._hold():
            self._end(_TRY_LATER, "too many large messages arrive over WebSockets")

    def handle_parser_exception(self) -> None:
        self._rejections.add(f"a WebSocket ended: {printable(self.conn.parser_exc)}")
        self._send_close()

    def handle_events(self) -> None:
        frames = 0
        for event in self.conn.events_received():
            if isinstance(event, Request):
                self.handle_connect(event)
            elif isinstance(event, Frame):
                frames += 1
                self._handle_frame(event)
        if frames and (delay := self._rate.delay(frames, self.loop.time())):
            self.transport.pause_reading()
            if self._throttled is not None:
                self._throttled.cancel()
            self._throttled = self.loop.call_later(delay, self._throttle_ends)

    def handle_cont(self, event: Frame) -> None:
        # One buffer: a list would hold any number of empty fragments.
        if self.frames:
            self._fragments += self.frames.pop()
        self._fragments += event.data
        if event.fin:
            self.frames = [bytes(self._fragments)]
            self._fragments.clear()
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        [data] = self.frames
        if self.curr_msg_data_type == "text" and not _is_utf8(data):
            self.frames = []
            self._end(_NOT_UTF8, "a text message is not UTF-8")
            return
        if not self.close_sent:  # else uvicorn discards it
            self._queued.append(len(data))
            self._waiting += len(data)
        super().send_receive_event_to_app()

    async def receive(self) -> Any:
        self._waiting -= self._processed  # the application has done with the message before
        self._processed = 0
        self._hold()
        message = await super().receive()
        if message["type"] == "websocket.receive":
            self._processed = self._queued.popleft()
        if self._throttled is not None or not self.writable.is_set():
            self.transport.pause_reading()  # uvicorn reads again once its queue is empty
        return message

    def _handle_frame(self, event: Frame) -> None:
        match event.opcode:
            case Opcode.CONT:
                self.handle_cont(event)
            case Opcode.TEXT:
                self.handle_text(event)
            case Opcode.BINARY:
                self.handle_bytes(event)
            case Opcode.PING:
                self.handle_ping()
            case Opcode.PONG:
                self.handle_pong(event)
            case Opcode.CLOSE:
                self.handle_close(event)

    def _throttle_ends(self) -> None:
        self._throttled = None
        self._read_again()

    def _read_again(self) -> None:
        """Resume reading, unless there is another reason to wait."""
        if self._throttled is None and self.writable.is_set() and not self.read_paused:
            self.transport.resume_reading()

    def _hold(self) -> bool:
        """Count the memory of incomplete and waiting messages; return whether there is room."""
        held = 0
        if not self.disconnected:
            arriving = len(self.conn.reader.buffer) + len(self._fragments)
            held = arriving + sum(map(len, self.frames)) + self._waiting
        has_room = self._memory.change(self._held, held)
        self._held = held
        return has_room

    def _end(self, code: int, reason: str) -> None:
        """End the connection: the client is at fault, or the server has no room."""
        self._rejections.add(reason)
        self.conn.fail(code, reason)
        self._send_close()

    def _send_close(self) -> None:
        if self.conn.close_sent is None:  # the handshake has not been answered yet
            self.transport.abort()
        else:
            super().handle_parser_exception()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
