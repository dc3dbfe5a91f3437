"""One connection to a Wyoming server: events both ways, and a whole utterance."""

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

# The Info of a server that speaks for many voices and languages is large.
_LIMITS = FrameLimits(header=1024 * 1024, data=16 * 1024 * 1024, values=1_000_000)


class ClientError(ServerError):
    """There is no server, or it did not do what it was asked for."""

    code = "client"


class Unreachable(ClientError):
    """Nobody took the connection."""


class Lost(ClientError):
    """The connection ended before the answer came."""


class Refused(ClientError):
    """The server answered with an error."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"the server says: {text} (code {reason})")
        self.reason = reason  # its code, for machines


class TranscriptObserver:
    """What one may want to know while an utterance is on its way. Override what you need."""

    def partial(self, text: str) -> None:
        """The server has understood this so far; replaces what was told before."""

    def speech_ended(self) -> None:
        """The server heard the end of the speech; the text follows."""

    def all_sent(self) -> None:
        """The last of the sound and audio-stop are out."""


class Client:
    """One connection to a Wyoming server, opened when it is first needed.

    A server that closes the connection after an answer, as many do, is
    connected to again for the next.

    Args:
        uri: tcp://HOST:PORT or unix://PATH.
        timeout: seconds for the server to accept, and for each event of its.
        tls: from tls.client_context(), for a server that wants it.

    Raises:
        SettingError: by the constructor: the uri is none.
        ClientError: by every method, where the server is not there or goes away.
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
            raise SettingError(f"--uri is {uri!r}; TLS is for tcp://HOST:PORT")
        self._tls = tls
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._frames = FrameReader(_LIMITS)
        self.reached = False  # there was a connection once

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
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def describe(self) -> Info:
        """Ask the server what it is."""
        await self.send(Describe())
        while True:
            event = await self.receive()
            if Info.is_type(event.type):
                try:
                    return Info.from_event(event)
                except (KeyError, TypeError, ValueError, AttributeError):
                    raise ClientError(f"the server at {self._uri} sent an odd info") from None

    async def transcribe(
        self,
        speech: Clip | Spoken,
        *,
        language: str | None = None,
        model: str | None = None,
        observer: TranscriptObserver | None = None,
    ) -> Transcript:
        """Have an utterance transcribed, while it is spoken if it still goes on.

        The answer is awaited from the first chunk on: a server that finds the end of
        speech by itself may answer before the end of the sound, and then the rest
        is not sent.

        Raises:
            ClientError: the server answers with an error, or not at all.
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
            # Why it failed is told better by what the server said before it closed.
            await asyncio.wait([sending])
            _ = None if sending.cancelled() else sending.exception()
        if not all_sent:
            # Some servers would take what comes next for the rest of this.
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
        """Wait for the transcript, or for the end of one that came in parts only."""
        parts = ""
        while True:
            event = await self._next(sending)
            if Transcript.is_type(event.type):
                text, language = event.data.get("text"), event.data.get("language")
                if not isinstance(text, str) or not isinstance(language, str | None):
                    raise ClientError(f"the server at {self._uri} sent an odd transcript")
                return Transcript.from_event(event)
            if TranscriptChunk.is_type(event.type):
                parts += str(event.data.get("text", ""))
                observer.partial(parts)
            elif VoiceStopped.is_type(event.type):
                observer.speech_ended()
            elif TranscriptStop.is_type(event.type) and parts:
                return Transcript(text=parts)

    async def _next(self, sending: asyncio.Task[None]) -> Event:
        """The next event. While we speak, the server may be silent for as long as it likes."""
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
        """Send one event."""
        _, writer = await self._connect()
        try:
            writer.write(write_event(event.event()))
            async with asyncio.timeout(self._timeout):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise Lost(f"the server at {self._uri} went away: {_why(error)}") from None

    async def receive(self) -> Event:
        """Return the next event.

        Raises:
            ClientError: it is an error, or there is none.
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
                raise Lost(f"the server at {self._uri} went away: {_why(error)}") from None
            if not data:
                raise Lost(f"the server at {self._uri} closed without an answer")
            self._frames.feed(data)
        if Error.is_type(event.type):
            text, code = event.data.get("text"), event.data.get("code")
            raise Refused(printable(text, 500), printable(code, 40))
        return event

    def _next_frame(self) -> Event | None:
        try:
            return self._frames.next_event()
        except ProtocolError as error:
            raise ClientError(
                f"what answers at {self._uri} is no Wyoming server: {error}"
            ) from None

    def _silent(self) -> ClientError:
        return ClientError(f"the server at {self._uri} said nothing for {self._timeout:g} s")

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
            raise Unreachable(f"there is no server at {self._uri}: {_why(error)}") from None
        self._frames = FrameReader(_LIMITS)
        self.reached = True
        return self._streams


async def _has_closed(reader: asyncio.StreamReader) -> bool:
    """True where the server has closed; drops what it said before it did."""
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
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "verify_message", None) or error.reason or "it is refused"
        return f"no TLS with it: {why.replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return "no such host is known"
    # asyncio says "Connect call failed ('127.0.0.1', 9)", and joins several into one text.
    number = getattr(error, "errno", None)
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return os.strerror(number) if number else str(error) or type(error).__name__
