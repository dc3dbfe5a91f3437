"""Closes a listening socket without losing clients that have just connected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def stop_accepting(server: asyncio.Server, accept: Accept) -> None:
    """Close a server of asyncio.start_server(); every client that has connected is accepted.

    asyncio loses two kinds of clients in Server.close(): those that it has accepted, but whose
    transport it makes in the next pass of the loop (an AssertionError in its log), and those that
    wait in the socket's queue, which the system resets.

    Args:
        server: listens without TLS.
        accept: the server's callback.
    """
    loop = asyncio.get_running_loop()
    listening = list(server.sockets)
    for each in listening:
        loop.remove_reader(each.fileno())
    # The next pass of the loop makes the transport of an accepted client, the one after it calls
    # accept(), which the caller must not find closed.
    for _ in range(2):
        await asyncio.sleep(0)
    waiting: list[socket.socket] = []
    for each in listening:
        # A socket of asyncio's own has no accept().
        with socket.socket(fileno=os.dup(each.fileno())) as twin, contextlib.suppress(OSError):
            twin.setblocking(False)
            while True:  # until BlockingIOError
                waiting.append(twin.accept()[0])
    server.close()
    for client in waiting:
        await loop.connect_accepted_socket(lambda: _protocol(accept), client)


def _protocol(accept: Accept) -> asyncio.StreamReaderProtocol:
    return asyncio.StreamReaderProtocol(asyncio.StreamReader(), accept)
