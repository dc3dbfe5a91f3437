"""One client of the realtime protocol: its messages ↔ a continuous session."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.websockets import WebSocket

from ....engine.recognizer import ServedModel
from ....errors import ProtocolError, ServerError, TooSlow, printable
from ....principal import Principal
from ....session.events import Event
from ....session.session import Session, SessionContext
from ...lifecycle import ClientLimits
from ...time_slice import TimeSlice
from ..api_errors import ApiError
from ..socket_client import GOING_AWAY, SocketClient
from . import client_messages
from . import server_events as messages
from .client_messages import Message, RealtimeError, SessionExpired
from .inbox import Inbox
from .items import Items
from .server_events import ServerEvent
from .session import RealtimeSession
from .update import updated

_LOGGER = logging.getLogger(__name__)

_TIME_SLICE = 0.003  # seconds of work for one client before others get their turn
_NORMAL = 1000  # close code of RFC 6455


@dataclass(frozen=True, slots=True)
class RealtimeLimits:
    """Limits of one realtime client, beside ClientLimits."""

    session: float = 3600.0  # seconds after which a session ends, as at OpenAI
    read_ahead: int = 16 * 1024 * 1024  # bytes of audio that may wait for the model: 5 minutes


@dataclass(frozen=True, slots=True)
class Opening:
    """Handshake of a client: its principal, and the session that it asked for."""

    principal: Principal
    session: RealtimeSession  # as the client secret or the model in the URL set it
    beta: bool  # it uses the names of the beta


class RealtimeClient(SocketClient):
    """One client, from its first message to its last. Lives on the event loop.

    Args:
        websocket: not accepted yet.
        opening: the client's handshake.
        context: what all sessions share.
        limits: time limits. While no utterance is being sent, only that of the session counts.
        own_limits: further limits.
        resolve: returns the model that a name stands for; raises ApiError.
    """

    protocol = "realtime"
    continuous = True

    def __init__(
        self,
        websocket: WebSocket,
        opening: Opening,
        context: SessionContext,
        limits: ClientLimits,
        own_limits: RealtimeLimits,
        *,
        resolve: Callable[[str], ServedModel],
    ) -> None:
        super().__init__(
            websocket,
            context,
            replace(
                limits,
                first_event=own_limits.session,
                between_utterances=own_limits.session,
            ),
            opening.principal,
        )
        self._own_limits = own_limits
        self._resolve = resolve
        self._id = client_messages.new_id("sess")
        self._settings = opening.session
        self._beta = opening.beta
        expiry = time.time() + own_limits.session
        until = opening.principal.until  # of its token, at which authentication.py ends it
        self._expires_at = int(expiry if until is None else min(expiry, until))
        self._inbox = Inbox(context.memory.of(opening.principal.tenant), own_limits.read_ahead)
        self._items = Items()
        self._warned_of_error = False

    @property
    def busy(self) -> bool:
        return super().busy or self._inbox.busy

    async def _receive(self, session: Session) -> None:
        session.request(self._settings.request(self._resolve(self._settings.model or "")))
        await self._send_session("transcription_session" if self._beta else "session", "created")
        expiry = asyncio.timeout(self._own_limits.session)
        try:
            async with expiry, asyncio.TaskGroup() as tasks:
                working = tasks.create_task(self._work(session))
                await self._read()
                working.cancel()
        except TimeoutError:
            if not expiry.expired():
                raise
            raise SessionExpired(
                f"the session has reached its maximum of {self._own_limits.session:g} s"
            ) from None
        finally:
            self._inbox.close()
        session.abort()
        await session.answered()
        await self._close(GOING_AWAY, "the server closes the connection")

    async def _read(self) -> None:
        """Pass the client's messages to the inbox, until the client leaves."""
        time_slice = TimeSlice(_TIME_SLICE)
        while (text := await self._next_text()) is not None:
            self._event_received()
            try:
                message = client_messages.read_message(text)
                if message.type == client_messages.APPEND:
                    message = await self._with_audio(message)
                await self._inbox.put(message)
            except RealtimeError as error:
                await self._reject(error)
            await time_slice.yield_if_over()

    async def _next_text(self) -> str | None:
        """Return the next message; None if the client has left or the server drains it.

        Raises:
            TooSlow: no message arrived in time.
        """
        while True:
            try:
                message = await self._read_event(self._websocket.receive)
            except TooSlow:
                if self._inbox.busy:
                    continue  # the session has not even taken what the client sent before
                raise
            if message is None and self.busy:
                continue  # draining waits until the client has its answer
            if message is None or message["type"] == "websocket.disconnect":
                return None
            text = message.get("text")
            # Reported like other text that is not JSON.
            return text if text is not None else f"{len(message['bytes'])} bytes"

    async def _with_audio(self, message: Message) -> Message:
        audio = bytearray()
        for piece in client_messages.decode_audio(message):
            if audio:
                await asyncio.sleep(0)
            audio += piece
        return client_messages.with_audio(message, bytes(audio))

    async def _work(self, session: Session) -> None:
        """Pass the messages of the inbox to the session, as fast as it takes them."""
        time_slice = TimeSlice(_TIME_SLICE)
        while True:
            await time_slice.yield_if_over()
            message = await self._inbox.take()
            try:
                await self._take(message, session)
            except RealtimeError as error:
                error.event_id = message.event_id
                await session.delivered()
                await self._reject(error)
            self._inbox.taken()
            if not self._inbox.busy:
                self._all_taken(session)

    def _all_taken(self, session: Session) -> None:
        """Set the timeout of the current read, which began before the session's state changed."""
        if session.listening:
            self._reschedule(self._limits.inside_utterance)
        elif not self.busy:  # else _answer_sent() sets it
            self._reschedule(0 if self._draining else self._limits.between_utterances)

    async def _take(self, message: Message, session: Session) -> None:
        match message.type:
            case client_messages.APPEND:
                used = self._settings.format
                await session.audio(used.pcm, used.decode(message.audio))
            case client_messages.COMMIT:
                await self._commit(session)
            case client_messages.CLEAR:
                seconds = session.clear()
                await session.delivered()
                self._items.cleared(seconds)
                await self._send(messages.cleared())
            case kind:
                await self._update(message, client_messages.UPDATES[kind], session)

    async def _commit(self, session: Session) -> None:
        await session.settled()
        # Rounded, because the length of the stream is a sum of many floats.
        if round(session.buffered, 4) < client_messages.LEAST_AUDIO:
            raise RealtimeError(
                f"buffer too small: {1000 * session.buffered:.0f} ms of audio; "
                f"a commit needs at least {1000 * client_messages.LEAST_AUDIO:.0f} ms",
                code="input_audio_buffer_commit_empty",
            )
        await session.stop()

    async def _update(self, message: Message, kind: str, session: Session) -> None:
        settings = updated(self._settings, message.body.get("session"))
        try:
            model = self._resolve(settings.model or "")
        except ApiError as error:
            raise RealtimeError(
                str(error),
                code=error.code or "model_not_found",
                param="session.audio.input.transcription.model",
            ) from None
        session.request(settings.request(model))
        await session.delivered()  # in the form of the session as it was
        self._settings = settings
        self._beta = self._beta or kind != "session"
        await self._send_session(kind, "updated")

    async def _send_session(self, kind: str, what: str) -> None:
        beta = kind != "session" or self._beta
        about = {
            "id": self._id,
            "object": "realtime.transcription_session",
            "expires_at": self._expires_at,
            **(self._settings.beta_body() if beta else self._settings.body()),
        }
        await self._send(messages.session_event(f"{kind}.{what}", about))

    async def _send_event(self, event: Event) -> None:
        for message in self._items.events(event, self._settings, beta=self._beta):
            await self._send(message)

    async def _reject(self, error: RealtimeError) -> None:
        """Report a fault of the client. The connection stays open."""
        level = logging.DEBUG if self._warned_of_error else logging.WARNING
        self._warned_of_error = True
        _LOGGER.log(level, "%s: %s", self.principal.name, printable(error, 200))
        self._context.count_error(ProtocolError.code)
        await self._send(messages.error_event(error))

    def _error_message(self, error: ServerError) -> ServerEvent:
        return messages.error_event(error)

    def _close_code(self, error: ServerError) -> int:
        return _NORMAL if isinstance(error, SessionExpired) else super()._close_code(error)
