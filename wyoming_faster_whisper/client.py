"""A small Wyoming client for speech-to-text servers, ours or others'."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info

from .audio import PcmFormat
from .errors import AudioError, ServerError, SettingError, printable, reason
from .wire.framing import FrameLimits, FrameReader, write_event
from .wire.listener import Address

# The Info of a server that speaks for many voices and languages is large.
_LIMITS = FrameLimits(header=1024 * 1024, data=16 * 1024 * 1024, values=1_000_000)
_CHUNK_SECONDS = 0.1


class ClientError(ServerError):
    """There is no server, or it did not do what it was asked for."""

    code = "client"


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound as it goes over the wire."""

    pcm: PcmFormat
    data: bytes

    @property
    def seconds(self) -> float:
        return len(self.data) / (self.pcm.frame_bytes * self.pcm.rate)

    def chunks(self, seconds: float = _CHUNK_SECONDS) -> Sequence[bytes]:
        size = max(1, round(seconds * self.pcm.rate)) * self.pcm.frame_bytes
        return [self.data[at : at + size] for at in range(0, len(self.data), size)]


def read_wav(path: str | Path) -> Clip:
    """Read a WAV file with PCM in it.

    Raises:
        AudioError: it cannot be read, or is no such file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            pcm = PcmFormat(file.getframerate(), file.getsampwidth(), file.getnchannels())
            return Clip(pcm, file.readframes(file.getnframes()))
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror or error}") from None
    except (wave.Error, EOFError) as error:
        raise AudioError(
            f"cannot read {path}: it is no WAV file with PCM in it ({error or 'it is cut off'})"
        ) from None
    except AudioError as error:
        raise AudioError(f"cannot send {path}: {error}") from None


class Client:
    """One connection to a Wyoming server, opened when it is first needed.

    A server that closes the connection after an answer, as many do, is
    connected to again for the next.

    Args:
        uri: tcp://HOST:PORT or unix://PATH.
        timeout: seconds for the server to accept, and for each event of its.

    Raises:
        SettingError: by the constructor: the uri is none.
        ClientError: by every method, where the server is not there or goes away.
    """

    def __init__(self, uri: str, *, timeout: float = 300.0, connect_timeout: float = 5.0) -> None:
        self._uri = uri
        self._address = Address.parse(uri)
        if self._address.scheme == "stdio":
            raise SettingError(f"--uri is {uri!r}; a client takes tcp://HOST:PORT or unix://PATH")
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._frames = FrameReader(_LIMITS)

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

    async def transcribe(self, clip: Clip, *, language: str | None = None) -> Transcript:
        """Have a clip transcribed.

        Raises:
            ClientError: the server answers with an error, or not at all.
        """
        if self._streams is not None and await _has_closed(self._streams[0]):
            await self.close()
        pcm = clip.pcm
        shape = {"rate": pcm.rate, "width": pcm.width, "channels": pcm.channels}
        try:
            await self.send(Transcribe(language=language))
            await self.send(AudioStart(**shape))
            for chunk in clip.chunks():
                await self.send(AudioChunk(**shape, audio=chunk))
            await self.send(AudioStop())
        except ClientError:
            # A server that refuses says why before it closes.
            if self._streams is None:
                raise
        while True:
            event = await self.receive()
            if Transcript.is_type(event.type):
                text, language = event.data.get("text"), event.data.get("language")
                if not isinstance(text, str) or not isinstance(language, str | None):
                    raise ClientError(f"the server at {self._uri} sent an odd transcript")
                return Transcript.from_event(event)

    async def send(self, event: Eventable) -> None:
        """Send one event."""
        _, writer = await self._connect()
        try:
            writer.write(write_event(event.event()))
            async with asyncio.timeout(self._timeout):
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise ClientError(f"the server at {self._uri} went away: {reason(error)}") from None

    async def receive(self) -> Event:
        """Return the next event.

        Raises:
            ClientError: it is an error, or there is none.
        """
        reader, _ = await self._connect()
        while (event := self._frames.next_event()) is None:
            try:
                async with asyncio.timeout(self._timeout):
                    data = await reader.read(64 * 1024)
            except TimeoutError:
                raise ClientError(
                    f"the server at {self._uri} said nothing for {self._timeout:g} s"
                ) from None
            except OSError as error:
                raise ClientError(
                    f"the server at {self._uri} went away: {reason(error)}"
                ) from None
            if not data:
                raise ClientError(f"the server at {self._uri} closed without an answer")
            self._frames.feed(data)
        if Error.is_type(event.type):
            text, code = event.data.get("text"), event.data.get("code")
            raise ClientError(
                f"the server says: {printable(text, 500)} (code {printable(code, 40)})"
            )
        return event

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None:
            return self._streams
        address = self._address
        try:
            async with asyncio.timeout(self._connect_timeout):
                if address.scheme == "tcp":
                    self._streams = await asyncio.open_connection(address.host, address.port)
                else:
                    self._streams = await asyncio.open_unix_connection(address.path)
        except (OSError, TimeoutError) as error:
            raise ClientError(f"there is no server at {self._uri}: {reason(error)}") from None
        self._frames = FrameReader(_LIMITS)
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
