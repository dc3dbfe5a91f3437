"""Decode servers for tests: hostile ones, and the engine that talks to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from wyoming_faster_whisper.engine.protocol import Engine, Job, Transcript
from wyoming_faster_whisper.engine.remote.decode_servers import (
    DecodeServer as Known,
)
from wyoming_faster_whisper.engine.remote.decode_servers import (
    DecodeServers,
    DecodeTimeout,
)
from wyoming_faster_whisper.engine.remote.inference_client import (
    Access,
    InferenceClient,
    RemoteModel,
)
from wyoming_faster_whisper.engine.remote.open_inference import RemoteEngine
from wyoming_faster_whisper.testing.decode_server import DecodeServer
from wyoming_faster_whisper.testing.tcp_server import TcpServer


class HostileServer(DecodeServer):
    """Decode server that is healthy, but spoils its answers to jobs.

    Args:
        engine: decodes, before the answer is spoiled.
        spoil: returns what is sent instead of a response, of which it gets the whole; None =
            nothing is sent, ever. Afterwards the connection is closed.
    """

    def __init__(self, engine: Engine, spoil: Callable[[bytes], bytes | None]) -> None:
        super().__init__(engine)
        self.jobs = 0  # that were sent here
        self._spoil = spoil

    async def send(self, writer: asyncio.StreamWriter, request: str, response: bytes) -> None:
        if not request.startswith("POST") or b'"contract"' in response:
            await super().send(writer, request, response)
            return
        self.jobs += 1
        spoiled = self._spoil(response)
        if spoiled is None:
            await asyncio.Event().wait()
        writer.write(spoiled or b"")
        await writer.drain()
        raise ConnectionResetError


class LateServer(DecodeServer):
    """Decode server that answers jobs, but not always health checks."""

    late = busy = False

    async def send(self, writer: asyncio.StreamWriter, request: str, response: bytes) -> None:
        if self.late and request.startswith("GET"):
            await asyncio.Event().wait()
        if self.busy and request.startswith("GET"):
            response = b"HTTP/1.1 503 -\r\ncontent-length: 0\r\n\r\n"
        await super().send(writer, request, response)


class OtherServer(TcpServer):
    """Server of another protocol: answers every connection with the same bytes and closes it."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(self._answer_one)
        self._answer = answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _answer_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._answer)
        await writer.drain()


class Client:
    """Remote engine whose decodes can be awaited."""

    def __init__(self, engine: RemoteEngine, servers: list[Known]) -> None:
        self.engine = engine
        self.servers = servers

    async def decode(self, job: Job) -> Transcript:
        [transcript] = await asyncio.to_thread(self.engine.decode, [job])
        return transcript


@asynccontextmanager
async def connected(
    *urls: str,
    timeout: float = 10.0,
    token: str | None = None,
    ca: str | None = None,
) -> AsyncIterator[Client]:
    """Connect a remote engine, as the server does."""
    access, model = Access(token, ca), RemoteModel("base", languages=("en", "de"))

    def build() -> Client:
        servers = [Known(InferenceClient(url, access), model) for url in urls]
        pool = DecodeServers(servers, DecodeTimeout(timeout))
        engine = RemoteEngine(pool, {"base": model})
        engine.start()
        return Client(engine, servers)

    client = await asyncio.to_thread(build)
    try:
        yield client
    finally:
        await asyncio.to_thread(client.engine.close)
