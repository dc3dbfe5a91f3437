"""Closing a listening socket: no client that has connected is lost."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from wyoming_faster_whisper.transports.closing import stop_accepting

CLIENTS = 5


def connect(at: tuple[str, int] | str) -> socket.socket:
    """Connect at once, without a pass of the event loop."""
    client = socket.socket(socket.AF_UNIX if isinstance(at, str) else socket.AF_INET)
    try:
        client.connect(at)
    except OSError:
        client.close()
        raise
    client.setblocking(False)
    return client


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("passes", range(4))
async def test_clients_that_connect_just_before_are_accepted(
    passes: int, family: str, tmp_path: Path
) -> None:
    accepted: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        writer.write(b"hello")

    if family == "tcp":
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        at = server.sockets[0].getsockname()
    else:
        at = str(tmp_path / "socket")
        server = await asyncio.start_unix_server(accept, at)
    clients = [connect(at) for _ in range(CLIENTS)]
    for _ in range(passes):
        await asyncio.sleep(0)
    await stop_accepting(server, accept)
    assert len(accepted) == CLIENTS
    loop = asyncio.get_running_loop()
    for client in clients:
        assert await loop.sock_recv(client, 100) == b"hello"
        client.close()
    for writer in accepted:
        writer.close()
    with pytest.raises(OSError, match="refused"):
        connect(at)
