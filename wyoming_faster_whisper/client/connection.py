"""A connection to a Wyoming server: single events and whole utterances."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from types import TracebackType
from typing import Self

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.vad import VoiceStopped

from ..errors import ProtocolError, ServerError, SettingError, printable
from ..transports.address import Address
from ..transports.wyoming.framing import FrameLimits, FrameReader, write_event
from .clips import Clip, Spoken

# A server with many voices and languages sends a large Info.
_LIMITS = FrameLimits(header=1024 * 1024, data=16 * 1024 * 1024, values=1_000_000)


class ClientError(ServerError):
    """The server cannot be reached, or did not do what it was asked to."""

    code = "client"


class Unreachable(ClientError):
    """No connection to the server could be made."""


class Lost(ClientError):
    """The connection ended before the answer arrived."""


class Refused(ClientError):
    """The server answered with an error event."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"the server says: {text} (code {reason})")
        self.reason = reason  # the code of the error event


class TranscriptObserver:
    """Progress of one utterance, as callbacks in the event loop. Override those you need."""

    def partial(self, text: str) -> None:
        """Handle the partial text so far; it replaces the previous one."""

    def speech_ended(self) -> None:
        """Handle the end of speech, as the server detected it; the transcript follows."""

    def all_sent(self) -> None:
        """Handle the end of sending: all audio and audio-stop are out."""


class Client:
    """A connection to a Wyoming server, opened on first use.

    Many servers close the connection after an answer; the client then reconnects for the next
    request.

    Args:
        uri: tcp://HOST:PORT or unix://PATH.
        timeout: seconds to wait for each event from the server, and for it to take each of ours.
        connect_timeout: seconds to wait for the connection.
        tls: from tls.client_context(), for a server that requires TLS.

    Raises:
        SettingError: the constructor got a URI that a client cannot use.
        ClientError: raised by every method if the server cannot be reached or the connection is
            lost.
    """

    def __init__(
        self,
        uri: str,
        *,
        timeout: float = 300.0,
        connect_timeout: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._uri = uri
        self._address = Address.parse(uri)
        if self._address.scheme == "stdio":
            raise SettingError(f"--uri is {uri!r}; a client takes tcp://HOST:PORT or unix://PATH")
        if tls is not None and self._address.scheme != "tcp":
            raise SettingError(f"--uri is {uri!r}; TLS works with tcp://HOST:PORT only")
        self._tls = tls
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._frames = FrameReader(_LIMITS)
        self._answered = False  # True: an event has arrived
        self.reached = False  # True: a connection has been made at least once

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def describe(self) -> Info:
        """Request the server's Info.

        Raises:
            ClientError: the server answers with an error or a bad info event, or not at all.
        """
        await self.send(Describe())
        while True:
            event = await self.receive()
            if Info.is_type(event.type):
                try:
                    return Info.from_event(event)
                except (KeyError, TypeError, ValueError, AttributeError):
                    raise ClientError(
                        f"the server at {self._uri} sent a bad info event"
                    ) from None

    async def transcribe(
        self,
        speech: Clip | Spoken,
        *,
        language: str | None = None,
        model: str | None = None,
        observer: TranscriptObserver | None = None,
    ) -> Transcript:
        """Transcribe an utterance, which may still be being spoken.

        A server that detects the end of speech itself may answer before all audio is sent; the
        rest is then not sent.

        Args:
            language: a code such as "en"; None = the server's default.
            model: the name of one of the server's models; None = the server's default.

        Raises:
            ClientError: the server answers with an error or not at all.
        """
        if self._streams is not None and await _has_closed(self._streams[0]):
            await self.close()
        await self._connect()
        observer = observer or TranscriptObserver()
        spoken = Spoken.of(speech) if isinstance(speech, Clip) else speech
        request = Transcribe(name=model, language=language)
        sending = asyncio.create_task(self._say(request, spoken, observer))
        try:
            transcript = await self._transcript(sending, observer)
        finally:
            all_sent = sending.done()
            sending.cancel()
            # Its error is ignored: what the server sent before it closed explains it better.
            await asyncio.wait([sending])
            _ = None if sending.cancelled() else sending.exception()
        if not all_sent:
            # Some servers would take the next request for the rest of this utterance.
            await self.close()
        return transcript

    async def _say(
        self, request: Transcribe, spoken: Spoken, observer: TranscriptObserver
    ) -> None:
        pcm = spoken.pcm
        await self.send(request)
        await self.send(AudioStart(rate=pcm.rate, width=pcm.width, channels=pcm.channels))
        async for chunk in spoken.chunks():
            await self.send(
                AudioChunk(rate=pcm.rate, width=pcm.width, channels=pcm.channels, audio=chunk)
            )
        await self.send(AudioStop())
        observer.all_sent()

    async def _transcript(
        self, sending: asyncio.Task[None], observer: TranscriptObserver
    ) -> Transcript:
        """Wait for the transcript, or for transcript-stop if the server sends only chunks."""
        parts = ""
        while True:
            event = await self._next(sending)
            if Transcript.is_type(event.type):
                text, language = event.data.get("text"), event.data.get("language")
                if not isinstance(text, str) or not isinstance(language, str | None):
                    raise ClientError(f"the server at {self._uri} sent a bad transcript event")
                return Transcript.from_event(event)
            if TranscriptChunk.is_type(event.type):
                parts += str(event.data.get("text", ""))
                observer.partial(parts)
            elif VoiceStopped.is_type(event.type):
                observer.speech_ended()
            elif TranscriptStop.is_type(event.type) and parts:
                return Transcript(text=parts)

    async def _next(self, sending: asyncio.Task[None]) -> Event:
        """Return the next event. The time-out starts when everything has been sent."""
        receiving = asyncio.create_task(self._receive())
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(self._timeout):
                return await receiving
        except TimeoutError:
            raise self._silent() from None
        finally:
            receiving.cancel()

    async def send(self, event: Eventable) -> None:
        """Send one event.

        Raises:
            ClientError: the server cannot be reached or does not take the event in time.
        """
        _, writer = await self._connect()
        try:
            writer.write(write_event(event.event()))
            async with asyncio.timeout(self._timeout):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise Lost(f"lost the connection to {self._uri}: {_why(error)}") from None

    async def receive(self) -> Event:
        """Return the next event.

        Raises:
            ClientError: it is an error event, or none arrives in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._receive()
        except TimeoutError:
            raise self._silent() from None

    async def _receive(self) -> Event:
        reader, _ = await self._connect()
        while (event := self._next_frame()) is None:
            try:
                data = await reader.read(64 * 1024)
            except OSError as error:
                raise Lost(f"lost the connection to {self._uri}: {_why(error)}") from None
            if not data:
                raise self._closed()
            self._frames.feed(data)
        self._answered = True
        if Error.is_type(event.type):
            text, code = event.data.get("text"), event.data.get("code")
            raise Refused(printable(text, 500), printable(code, 40))
        return event

    def _next_frame(self) -> Event | None:
        try:
            return self._frames.next_event()
        except ProtocolError as error:
            raise ClientError(
                f"what answers at {self._uri} does not speak the Wyoming protocol: {error}"
            ) from None

    def _closed(self) -> Lost:
        plain = self._address.scheme == "tcp" and self._tls is None
        hint = ", as one that requires TLS does" if plain and not self._answered else ""
        return Lost(f"the server at {self._uri} closed the connection without an answer{hint}")

    def _silent(self) -> ClientError:
        return ClientError(f"the server at {self._uri} sent nothing for {self._timeout:g} s")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None:
            return self._streams
        address = self._address
        try:
            async with asyncio.timeout(self._connect_timeout):
                if address.scheme == "tcp":
                    self._streams = await asyncio.open_connection(
                        address.host, address.port, ssl=self._tls
                    )
                else:
                    self._streams = await asyncio.open_unix_connection(address.path)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"cannot connect to {self._uri}: {_why(error)}") from None
        self._frames = FrameReader(_LIMITS)
        self.reached = True
        return self._streams


async def _has_closed(reader: asyncio.StreamReader) -> bool:
    """Return whether the server has closed the connection; unread data is dropped."""
    try:
        async with asyncio.timeout(0):
            while await reader.read(64 * 1024):
                pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.args:  # asyncio's, not the kernel's
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "verify_message", None) or error.reason or "refused"
        return f"TLS failed: {why.replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return "unknown host"
    # asyncio's text is "Connect call failed ('127.0.0.1', 9)", joined for several addresses.
    number = getattr(error, "errno", None)
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return os.strerror(number) if number else str(error) or type(error).__name__
