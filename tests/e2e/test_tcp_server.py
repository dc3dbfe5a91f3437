"""The servers of other tests leave no connection behind."""

import asyncio
import contextlib
import gc
import socket

import pytest

from wyoming_faster_whisper.testing.tcp_server import SilentServer, TcpServer


@pytest.mark.parametrize("passes", range(5))
async def test_a_client_that_has_just_connected_is_disconnected(passes: int) -> None:
    server = await SilentServer().start()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.setblocking(False)
        for _ in range(passes):
            await asyncio.sleep(0)
        await server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    gc.collect()  # a socket that is still open warns, which fails the test


async def test_what_a_client_did_not_read_is_dropped() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(20_000_000))

    async with TcpServer(serve) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await reader.readexactly(1)
    writer.close()
    gc.collect()


async def test_an_error_of_the_coroutine_fails_the_test() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise ValueError("a mistake")

    server = await TcpServer(serve).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ValueError, match="a mistake"):
        await server.stop()
