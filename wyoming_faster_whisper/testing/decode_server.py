"""A decode server for tests: the Open Inference Protocol over HTTP, with a fake engine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from ..engine.protocol import Engine
from ..engine.recognizer import EVERYTHING, Capabilities, Recognizer, ServedModel
from ..serving.configuration import ModelSpec
from ..serving.open_inference import LARGEST_BODY, Reply, UnknownModel, answer, error_reply
from ..serving.slot import LoadedModel
from ..serving.tokens import Tokens
from .tcp_server import TcpServer

_HEAD = 64 * 1024  # bytes


class DecodeServer:
    """Decode server on 127.0.0.1, with the codec, the requests and the queue of a real one.

    Use it as an async context manager.

    Args:
        engine: decodes, and is loaded at once.
        name, version: of the model, as in the URL.
        languages: of the model.
        capabilities: of the model.
        max_waiting: jobs that may wait.
        port: to listen on; 0 = any.
        tls: to serve https.
        token_file: requests must send one of its tokens as a bearer token; None = no token.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str = "base",
        version: str = "1",
        languages: Sequence[str] = ("en", "de"),
        capabilities: Capabilities = EVERYTHING,
        max_waiting: int = 64,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        token_file: Path | None = None,
    ) -> None:
        self.requests: list[str] = []  # their first lines
        self._recognizer = Recognizer(
            models=(ServedModel(name, tuple(languages), capabilities=capabilities),),
            load=lambda: engine,
        )
        self._spec = ModelSpec(name, version)
        self._max_waiting = max_waiting
        self._server = TcpServer(self._serve, port=port, tls=tls, limit=_HEAD)
        self._scheme = "https" if tls else "http"
        self._token_file = token_file
        self._tokens: Tokens | None = None

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self.port}"

    async def __aenter__(self) -> Self:
        if self._token_file is not None:
            self._tokens = await asyncio.to_thread(Tokens, self._token_file)
        self.model = LoadedModel(self._spec, self._recognizer, max_waiting=self._max_waiting)
        await self.model.start()
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.model.close()

    async def stop(self) -> None:
        """Stop listening, and break all connections, as a killed server does."""
        await self._server.stop()

    def loaded(self) -> Sequence[LoadedModel]:
        """See serving.open_inference.Models."""
        return [self.model]

    async def find(self, name: str, version: str) -> LoadedModel:
        """See serving.open_inference.Models."""
        if name != self.model.name or version not in ("", self.model.version):
            raise UnknownModel(f"there is no model {name}, version {version or 'any'}")
        return self.model

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:  # until the client disconnects: to withdraw a job, or after its last request
            await self._one_request(reader, writer)

    async def _one_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.requests.append(head[0])
        method, path, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        size = int(headers.get("content-length", 0))
        if size > LARGEST_BODY:
            reply = error_reply(413, f"the body has more than {LARGEST_BODY} bytes")
        elif self._tokens and (refusal := self._tokens.refusal(path, headers)):
            await reader.readexactly(size)
            reply = refusal
        else:
            body = await reader.readexactly(size)
            reply = await self._while_connected(
                reader, asyncio.ensure_future(answer(self, method, path, headers, body))
            )
        lines = [f"HTTP/1.1 {reply.status} -", f"content-length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        response = "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body
        await self.send(writer, head[0], response)

    async def send(self, writer: asyncio.StreamWriter, request: str, response: bytes) -> None:
        """Send a response. A subclass may send something else, or raise ConnectionError.

        Args:
            request: its first line.
        """
        writer.write(response)
        await writer.drain()

    async def _while_connected(
        self, reader: asyncio.StreamReader, answering: asyncio.Task[Reply]
    ) -> Reply:
        """Return the answer; cancel it if the client disconnects first."""
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({gone, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise ConnectionResetError
            return answering.result()
        finally:
            answering.cancel()
            gone.cancel()
            await asyncio.wait({gone, answering})
