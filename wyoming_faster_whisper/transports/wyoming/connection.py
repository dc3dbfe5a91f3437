"""Wyoming connection: passes a client's events to its Session, and the answers to the client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from wyoming.asr import (
    Transcribe,
    Transcript,
    TranscriptChunk,
    TranscriptStart,
    TranscriptStop,
)
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, SelectProgram
from wyoming.ping import Ping, Pong
from wyoming.vad import VoiceStarted, VoiceStopped

from ...audio.pcm import PcmFormat
from ...errors import ProtocolError, ServerError, TooSlow, printable, visible
from ...principal import Principal
from ...session import events
from ...session.request import LONGEST_NAME, MOST_NAMES, Request
from ...session.session import Session, SessionContext
from ...tenant import Identity, IdentityKind, Tenant
from ..lifecycle import ClientLifecycle, ClientLimits
from ..time_slice import TimeSlice
from ..tls import certificate_names
from .framing import FrameReader, write_event
from .info import PROGRAM

_LOGGER = logging.getLogger(__name__)

_READ = 64 * 1024  # bytes read from the socket, and converted, at once
_TIME_SLICE = 0.005  # seconds of work for one client before others get their turn
# Read coalescing: waking up costs more than processing a 10 ms chunk, so a client that sends no
# faster than a microphone is read a few chunks at a time. A read of at least this many bytes
# comes from a faster client and is not delayed: 0.1 s of audio are 4.4 KB with headers.
_SMALL_READ = 8192  # bytes
# Maximum bytes of audio in equal chunks that are taken together. In Home Assistant's format they
# are 8 VAD windows, the most that audio_input.py processes without a thread.
_TOGETHER = 8192
_DISCONNECT_CHECK = 0.5  # seconds between checks whether a waiting client is still connected


class Connection(ClientLifecycle):
    """One client's connection, from its first byte to its last. Lives on the event loop.

    Args:
        reader: stream from the client.
        writer: stream to the client.
        principal: the client.
        context: what all sessions share.
        info: returns the answer to describe for a tenant.
        limits: time and size limits.
        tls: context for the TLS handshake; None = no TLS. The handshake is done here and not in
            asyncio's server: a client that never completes the handshake still counts against
            the connection limits.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        principal: Principal,
        *,
        context: SessionContext,
        info: Callable[[Tenant], Event],
        limits: ClientLimits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(context, limits, principal)
        self._reader = reader
        self._writer = writer
        self._info = info
        self._tls = tls
        self._frames = FrameReader(limits.frame)
        self._time_slice = TimeSlice(_TIME_SLICE)
        self._warned = False  # the warning about an unknown program has been logged

    async def run(self) -> None:
        """Serve the client until it disconnects or an error ends the connection.

        Raises only CancelledError.
        """
        try:
            if self._tls is not None:
                await self._writer.start_tls(
                    self._tls, ssl_handshake_timeout=self._limits.first_event
                )
                self._identify()
            await self._serve()
            self._writer.close()
            # A client that does not read for this long loses what has not been sent.
            async with asyncio.timeout(self._limits.write):
                await self._writer.wait_closed()
        except ssl.SSLError as error:
            _LOGGER.warning(
                "%s: TLS handshake failed: %s",
                self.principal.name,
                printable(error.reason or error),
            )
            self._writer.transport.abort()
        except OSError:  # TimeoutError is one
            self._writer.transport.abort()
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise

    def _identify(self) -> None:
        """Find the tenant of a client whose certificate is known now."""
        names = certificate_names(self._writer.get_extra_info("peercert"))
        known = tuple(Identity(IdentityKind.CERTIFICATE, name) for name in names)
        client = self._principal
        self._principal = self._context.tenants.assign(
            replace(client, identities=(*known, *client.identities))
        )

    async def _receive(self, session: Session) -> None:
        while data := await self._read_event(self._read, begun=self._frames.mid_frame):
            self._frames.feed(data)
            while (event := self._frames.next_event()) is not None:
                self._event_received()
                await self._take(event, session)
                await self._time_slice.yield_if_over()
            if session.listening and len(data) < _SMALL_READ:
                self._delay_read(session.read_delay)
        if self._frames.mid_frame or session.listening:
            _LOGGER.debug("%s: disconnected inside an utterance", self.principal.name)
        if not self._is_pipe:  # the end of a pipe's input does not mean that its client has left
            session.abort()
        await self._while_connected(session, session.answered())
        if self._frames.mid_frame and data is not None:
            # Not raised: the client may just have disconnected, which deserves no warning.
            await self._report(ProtocolError("the stream ended in the middle of an event"))

    @property
    def _is_pipe(self) -> bool:
        """True for stdio:// over pipes, whose transports for reading and writing are separate."""
        return self._writer.get_extra_info("pipe") is not None

    async def _read(self) -> bytes:
        """Return the next bytes; b"" at the end of the stream. Begins a time slice."""
        data = await self._reader.read(_READ)
        self._time_slice.begin()
        return data

    def _delay_read(self, seconds: float) -> None:
        """Coalesce the reads of a live stream: read nothing for some seconds.

        Returns at once. A timer resumes reading, so that this task wakes up only for the data.
        """
        if self._is_pipe:
            return
        transport = self._writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        if not transport.is_reading():
            # The StreamReader is full and has paused it. It would not pause it a second time,
            # and hold whatever a fast client sends.
            return
        transport.pause_reading()
        asyncio.get_running_loop().call_later(seconds, _resume_reading, transport)

    async def _while_connected(self, session: Session, work: Coroutine[Any, Any, None]) -> None:
        """Await a call of the session, which may have to wait for an answer.

        asyncio notices a reset or the end of the stream only while it reads, and it does not
        read during this wait.

        Raises:
            ConnectionResetError: the client has disconnected.
        """
        if not session.answering:
            await work
            return
        task = asyncio.create_task(work)
        try:
            while not task.done():
                seen = _connection_state(self._writer)
                if seen & (select.POLLERR | select.POLLHUP):
                    raise ConnectionResetError("connection reset while an answer was pending")
                if seen:
                    session.half_closed()
                await asyncio.wait([task], timeout=_DISCONNECT_CHECK)
            await task
        finally:
            task.cancel()

    async def _take(self, event: Event, session: Session) -> None:
        if AudioChunk.is_type(event.type):
            first = event.payload or b""
            chunks = [first, *self._frames.next_alike(_TOGETHER - len(first))]
            audio = session.audio(_pcm(event), b"".join(chunks), chunks=len(chunks))
            await self._while_connected(session, audio)
        elif AudioStart.is_type(event.type):
            await self._while_connected(session, session.start(_pcm(event)))
        elif AudioStop.is_type(event.type):
            await self._while_connected(session, session.stop())
        elif Transcribe.is_type(event.type):
            session.request(_request(event))
        elif Describe.is_type(event.type):
            await self._write(self._info(self.principal.tenant))
        elif Ping.is_type(event.type):
            text = event.data.get("text")
            if self._context.upstreams is not None:
                self._context.upstreams.pinged(text)
            await self._write(Pong(text if isinstance(text, str) else None).event())
        elif SelectProgram.is_type(event.type):
            name = event.data.get("name")
            if name != PROGRAM and not self._warned:
                self._warned = True
                _LOGGER.warning(
                    "%s: this server has no program %r; using %s",
                    self.principal.name,
                    printable(name, 40),
                    PROGRAM,
                )
        else:
            _LOGGER.debug("%s: ignored event %s", self.principal.name, printable(event.type, 40))

    async def _send_event(self, event: events.Event) -> None:
        await self._write(_wyoming(event))

    async def _write(self, event: Event) -> None:
        """Send an event.

        Raises:
            TooSlow: the client does not read. The connection has been aborted.
        """
        self._writer.write(write_event(event))
        try:
            async with asyncio.timeout(self._limits.write):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise TooSlow(
                f"the client did not read for {self._limits.write:g} s; closing the connection"
            ) from None

    async def _close_with(self, error: ServerError) -> None:
        # A client may wait for an error event or for the end of the stream. It gets both.
        event = Error(str(error), code=error.code).event()
        await send_and_close(self._reader, self._writer, event, self._limits.linger)


async def send_and_close(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, event: Event, seconds: float
) -> None:
    """Send the last event of a connection so that the client can read it.

    Closing a socket with unread data resets the connection, and the reset overtakes the event.
    Incoming data is therefore read and dropped until the client disconnects. Errors and timeouts
    are ignored.

    Args:
        reader: stream from the client.
        writer: stream to the client. The caller closes it afterwards.
        event: the event to send.
        seconds: maximum time for all of this.
    """
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            writer.write(write_event(event))
            if writer.can_write_eof():  # not possible with TLS
                writer.write_eof()
            while await reader.read(_READ):
                pass


def _connection_state(writer: asyncio.StreamWriter) -> int:
    """Return the state of a connection as a poll event.

    POLLHUP or POLLERR if it is reset or closed in both directions, POLLRDHUP if the client has
    closed its half, else 0.
    """
    if writer.transport.is_closing():
        return select.POLLHUP
    connection = writer.get_extra_info("socket")
    if connection is None:  # a pipe, whose transport notices the end itself
        return 0
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)  # POLLHUP and POLLERR are always reported
    return next((event for _, event in poll.poll(0)), 0)


def _resume_reading(transport: asyncio.ReadTransport) -> None:
    if not transport.is_closing():  # one of TLS that has been closed twice would fail
        transport.resume_reading()


def _wyoming(event: events.Event) -> Event:
    """Convert an event of the session to one of the protocol."""
    match event:
        case events.SpeechStarted(seconds=seconds):
            return VoiceStarted(timestamp=round(1000 * seconds)).event()
        case events.SpeechStopped(seconds=seconds):
            return VoiceStopped(timestamp=round(1000 * seconds)).event()
        case events.TranscriptStarted(language=language, context=context):
            return TranscriptStart(language=language, context=context).event()
        case events.PartialText(text=text):
            return TranscriptChunk(text=text).event()
        case events.TranscriptStopped():
            return TranscriptStop().event()
        case events.Answer(transcript=transcript, context=context):
            return Transcript(
                transcript.text, context=context, language=transcript.language
            ).event()
        case events.TurnEnded() | events.AnswerFailed():
            raise AssertionError(f"{event} comes only in a continuous session")


def _pcm(event: Event) -> PcmFormat:
    values = []
    for key in ("rate", "width", "channels"):
        value = event.data.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ProtocolError(
                f"{key} of {event.type} is {printable(value, 20)!r}; it must be a whole number"
            )
        values.append(value)
    rate, width, channels = values
    return PcmFormat(rate, width, channels)


def _request(event: Event) -> Request:
    data = event.data
    for key, kind, what in (
        ("language", str, "a string"),
        ("name", str, "a string"),
        ("vad_sensitivity", str, "a string"),
        ("context", dict, "a JSON object"),
    ):
        if not isinstance(data.get(key), kind | None):
            raise ProtocolError(f"{key} of transcribe must be {what}")
    return Request(
        language=data.get("language"),
        expected=True,  # Home Assistant names the language of the pipeline
        model=data.get("name"),
        # Names come before terms: the protocol gives them priority.
        vad_sensitivity=data.get("vad_sensitivity"),
        hotwords=(*_names(event, "transcript_names"), *_names(event, "transcript_terms")),
        context=data.get("context"),
    )


def _names(event: Event, key: str) -> tuple[str, ...]:
    names = event.data.get(key)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ProtocolError(f"{key} of transcribe must be a list of strings")
    return tuple(
        cleaned for name in names[:MOST_NAMES] if (cleaned := visible(name[:LONGEST_NAME]))
    )
