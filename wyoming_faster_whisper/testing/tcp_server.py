"""A TCP server for tests that leaves no connection behind when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class TcpServer:
    """Serves each connection with one coroutine. Lives on the event loop.

    asyncio's own server does not close the connections that it has just accepted or still serves:
    the garbage collector does it later, with a warning in whatever test runs at that time. Use
    it as an async context manager, or call start() and stop().

    Args:
        serve: serves one connection, which is closed when it returns. ConnectionError and
            IncompleteReadError end the connection; another exception is raised by stop().
        host, port: to listen on; port 0 = any.
        tls: to serve TLS.
        limit: of the reader's buffer, in bytes.
    """

    def __init__(
        self,
        serve: Serve,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        limit: int = 2**16,
    ) -> None:
        self.port = port
        self.connections = 0  # accepted so far
        self._serve = serve
        self._host = host
        self._tls = tls
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> Self:
        """Listen; the port is known afterwards."""
        self._server = await asyncio.start_server(
            self._accept, self._host, self.port, ssl=self._tls, limit=self._limit
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop_listening(self) -> None:
        """Accept no further connection. Those that are accepted go on."""
        if self._server is None:
            return
        server, self._server = self._server, None
        loop = asyncio.get_running_loop()
        for each in server.sockets:
            loop.remove_reader(each.fileno())
        # One pass of the loop makes the transport of an accepted client, the next calls _accept.
        for _ in range(2):
            await asyncio.sleep(0)
        server.close()

    async def stop(self) -> None:
        """Accept no further connection, and abort the others, as a killed server does."""
        await self.stop_listening()
        for connection, writer in self._open.items():
            connection.cancel()
            writer.transport.abort()
        ended = await asyncio.gather(*self._open, return_exceptions=True)
        for writer in self._open.values():
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._open.clear()
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = asyncio.get_running_loop().create_task(self._connection(reader, writer))
        self._open[connection] = writer

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.close()


class SilentServer(TcpServer):
    """Accepts connections and reads nothing."""

    def __init__(self) -> None:
        super().__init__(_wait)


async def _wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()
