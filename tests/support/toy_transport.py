"""A complete transport in about 100 lines, as an example for a new one.

A client sends lines: "start", "audio LENGTH" followed by that many bytes of PCM, "stop". The
server sends lines: "text TEXT" for each answer, "error CODE" before it closes the connection.
"""

from __future__ import annotations

import asyncio
import contextlib

from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.errors import ProtocolError, ServerError, TooSlow
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.session.events import Answer, Event
from wyoming_faster_whisper.session.session import Session, SessionContext
from wyoming_faster_whisper.testing.tcp_server import TcpServer
from wyoming_faster_whisper.transports.admission import Admission
from wyoming_faster_whisper.transports.lifecycle import ClientLifecycle, ClientLimits, drain_all

PCM = PcmFormat()


class ToyClient(ClientLifecycle):
    """One client's connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: SessionContext,
        limits: ClientLimits,
    ) -> None:
        super().__init__(context, limits, Principal("", "toy"))
        self._reader, self._writer = reader, writer

    async def run(self) -> None:
        with contextlib.closing(self._writer):
            await self._serve()

    async def refuse(self, error: ServerError) -> None:
        with contextlib.closing(self._writer):
            await self._report(error)

    async def _receive(self, session: Session) -> None:
        while line := await self._read_event(self._reader.readline):
            self._event_received()
            match line.split():
                case [b"start"]:
                    await session.start(PCM)
                case [b"audio", length]:
                    await session.audio(PCM, await self._reader.readexactly(int(length)))
                case [b"stop"]:
                    await session.stop()
                case _:
                    raise ProtocolError(f"unknown line {line!r}")

    async def _send_event(self, event: Event) -> None:
        if isinstance(event, Answer):
            await self._send(f"text {event.transcript.text}")

    async def _close_with(self, error: ServerError) -> None:
        with contextlib.suppress(OSError, TooSlow):
            await self._send(f"error {error.code}")

    async def _send(self, line: str) -> None:
        self._writer.write(line.encode() + b"\n")
        try:
            await asyncio.wait_for(self._writer.drain(), self._limits.write)
        except TimeoutError:
            raise TooSlow("the client does not read") from None


class ToyTransport:
    """Accepts clients and serves them until they disconnect."""

    def __init__(
        self, context: SessionContext, limits: ClientLimits, admission: Admission
    ) -> None:
        self._context, self._limits, self._admission = context, limits, admission
        self._server = TcpServer(self._accept)
        self.clients: dict[asyncio.Task[None], ToyClient] = {}

    async def start(self) -> int:
        """Listen on a port of 127.0.0.1, and return it."""
        await self._server.start()
        return self._server.port

    async def stop(self, seconds: float) -> None:
        await self._server.stop_listening()
        await drain_all(self.clients, seconds)
        await self._server.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = ToyClient(reader, writer, self._context, self._limits)
        task = asyncio.current_task()
        assert task is not None
        try:
            evicted = self._admission.admit(client.principal, self.clients.values())
        except ServerError as error:
            await client.refuse(error)
            return
        if evicted is not None:
            evicted.drain()
        self.clients[task] = client
        try:
            await client.run()
        finally:
            del self.clients[task]
