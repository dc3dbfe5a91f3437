"""One session of a satellite ↔ a Session: from startListening to textCaptured."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ...audio.pcm import PcmFormat, read_wav, write_wav
from ...errors import Busy, ServerError, TooSlow
from ...principal import Principal
from ...session.events import Answer, Event, PartialText, SpeechStopped
from ...session.session import Session, SessionContext
from ...tenant import Identity, IdentityKind
from ..lifecycle import ClientLifecycle, ClientLimits
from . import hermes, home_assistant
from .connection import Message
from .hermes import StartListening, StopListening
from .inbox import Frames, Inbox
from .topics import Topics

_LARGEST_CAPTURE = 1024 * 1024  # bytes of audio that are sent back: 30 s at 16 kHz and 16 bits


class Signal(Enum):
    """Notice of the server to a session."""

    LOST = "lost"  # the connection to the broker was lost, and with it a part of the audio
    ANSWERED = "answered"  # an answer has been sent, and no other is pending


Control = StartListening | StopListening | Signal


class Outlet(Protocol):
    """Publishes for a session."""

    topics: Topics
    tells_home_assistant: bool

    async def publish(self, message: Message) -> None:
        """Publish a message.

        Raises:
            TooSlow: the broker did not take it in time.
        """
        ...


@dataclass(slots=True)
class _Utterance:
    """Request of the satellite, and the progress reported to it."""

    start: StartListening
    text: str = ""  # partial text
    finished: bool = False  # recordingFinished has been published
    pcm: PcmFormat | None = None  # of the audio to send back
    audio: bytearray = field(default_factory=bytearray)  # to send back


class SiteSession(ClientLifecycle):
    """A session of one site. Lives on the event loop, until nothing is left to answer.

    Args:
        context: what all sessions share.
        limits: time limits.
        start: the message that began it.
        hermes_topics: whether it uses Hermes' topics rather than those of its site.
        outlet: publishes its messages.
        hear: subscribes to the site's audio; returns once the broker has confirmed it.
        inbox_bytes: bytes of audio that may wait.
    """

    def __init__(
        self,
        context: SessionContext,
        limits: ClientLimits,
        start: StartListening,
        *,
        hermes_topics: bool,
        outlet: Outlet,
        hear: Callable[[], Awaitable[None]],
        inbox_bytes: int,
    ) -> None:
        site = start.site
        principal = Principal(
            f"site:{site}",
            f"MQTT site {site}",
            identities=(Identity(IdentityKind.SITE, site),),
        )
        super().__init__(context, limits, context.tenants.assign(principal))
        self.site = site
        self._hermes = hermes_topics
        self._outlet = outlet
        self._hear = hear
        self._last_start = start
        self._turns = 0  # utterances begun in the session
        self._utterances: dict[int, _Utterance] = {}  # unanswered, by turn
        self.inbox: Inbox[Control] = Inbox(context.memory, inbox_bytes)
        self._event_received()  # startListening

    async def run(self) -> None:
        """Serve the session until all its utterances are answered, or an error ends it.

        Raises only CancelledError.
        """
        await self._serve(partials="off")

    async def refuse(self, error: ServerError) -> None:
        """Report why the session is not served."""
        await self._report(error)

    async def _receive(self, session: Session) -> None:
        while (message := await self._read_event(self.inbox.take)) is not None:
            self._event_received()
            match message:
                case StartListening():
                    await self._start(message, session)
                case StopListening():
                    await self._stop(session)
                case Signal.LOST if session.listening:
                    raise TooSlow(
                        "the connection to the MQTT broker was lost during the utterance"
                    )
                case Signal.ANSWERED if not self.busy:
                    return
                case Frames():
                    await self._hear_frames(message, session)

    def _answer_sent(self) -> None:
        super()._answer_sent()
        if not self.busy:
            with contextlib.suppress(Busy):
                self.inbox.put(Signal.ANSWERED)

    async def _start(self, start: StartListening, session: Session) -> None:
        """Begin an utterance. One that is still being heard is discarded without an answer."""
        context = self._context
        self._last_start = start
        session.request(hermes.request_of(start, context.turns, context.partials))
        discards = session.listening
        await session.start(PcmFormat())
        if discards:
            del self._utterances[self._turns - 1]
        self._utterances[self._turns] = _Utterance(start)
        self._turns += 1
        await self._hear()
        await self._publish(self._outlet.topics.recording_started, hermes.recording(start))

    async def _stop(self, session: Session) -> None:
        if not session.listening:
            return  # the server ended the turn, or there was none
        utterance = self._utterances[self._turns - 1]
        await session.stop()
        await self._recording_finished(utterance)

    async def _hear_frames(self, batch: Frames, session: Session) -> None:
        """Pass frames to the session. What follows the end of the turn is dropped.

        Raises:
            AudioError: a frame is not a WAV file, or has an unsupported format.
        """
        at = 0
        while at < len(batch.frames) and session.listening:
            pcm, data = read_wav(batch.frames[at])
            parts = [data]
            at += 1
            while at < len(batch.frames):
                other, data = read_wav(batch.frames[at])
                if other != pcm:
                    break
                parts.append(data)
                at += 1
            joined = b"".join(parts)
            self._keep(pcm, joined)
            await session.audio(pcm, joined)
        if session.listening:
            await self.inbox.pause(session.read_delay)

    def _keep(self, pcm: PcmFormat, data: bytes) -> None:
        """Keep audio to send back, if that was asked for."""
        utterance = self._utterances[self._turns - 1]
        if not utterance.start.send_audio or utterance.pcm not in (None, pcm):
            return
        utterance.pcm = pcm
        room = _LARGEST_CAPTURE - len(utterance.audio)
        utterance.audio += data[: room - room % pcm.frame_bytes]

    async def _send_event(self, event: Event) -> None:
        match event:
            case PartialText(text=piece, turn=turn) if turn in self._utterances:
                utterance = self._utterances[turn]
                utterance.text += piece
                await self._publish(
                    self._outlet.topics.partial_text,
                    hermes.partial_text(utterance.start, utterance.text),
                    qos=0,
                )
            case SpeechStopped(turn=turn) if turn in self._utterances:
                await self._recording_finished(self._utterances[turn])
            case Answer(turn=turn):
                await self._answer(turn, event)

    async def _recording_finished(self, utterance: _Utterance) -> None:
        if not utterance.finished:
            utterance.finished = True
            await self._publish(
                self._outlet.topics.recording_finished,
                hermes.recording(utterance.start),
                qos=0,  # the text, which the satellite waits for, follows
            )

    async def _answer(self, turn: int, answer: Answer) -> None:
        utterance = self._utterances[turn]
        start = utterance.start
        await self._recording_finished(utterance)
        await self._publish(self._outlet.topics.text, hermes.text_captured(start, answer))
        del self._utterances[turn]
        with contextlib.suppress(TooSlow):  # the satellite has its answer, and gets no other one
            if self._outlet.tells_home_assistant:
                topic = self._outlet.topics.event(self.site)
                await self._outlet.publish(
                    Message(topic, home_assistant.answered(start.session, answer))
                )
            if utterance.pcm is not None:
                topic = self._outlet.topics.audio_captured(
                    self.site, start.session, hermes=self._hermes
                )
                wav = write_wav(utterance.pcm, bytes(utterance.audio))
                await self._outlet.publish(Message(topic, wav))

    async def _close_with(self, error: ServerError) -> None:
        """Publish the error, and an empty text for each utterance that has no answer."""
        unanswered = [utterance.start for utterance in self._utterances.values()]
        self._utterances.clear()
        start = unanswered[-1] if unanswered else self._last_start
        topics = self._outlet.topics
        with contextlib.suppress(TooSlow):
            await self._publish(topics.error, hermes.error(self.site, start.session, error))
            for each in unanswered or [start]:
                await self._publish(topics.text, hermes.no_text_captured(each))
            if self._outlet.tells_home_assistant:
                payload = home_assistant.failed(start.session, error)
                await self._outlet.publish(Message(topics.event(self.site), payload))

    async def _publish(self, topic: _Topic, payload: bytes, *, qos: int = 1) -> None:
        await self._outlet.publish(Message(topic(self.site, hermes=self._hermes), payload, qos))


class _Topic(Protocol):
    def __call__(self, site: str, *, hermes: bool) -> str: ...
