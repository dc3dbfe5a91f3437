"""Bad requests to the HTTP API, and checks that they leave the server as it was."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import BOUNDARY, Reply, form, head, request, response, wav
from tests.support.serving import Peer, Server, peer, until
from tests.support.web import address
from wyoming_faster_whisper.testing import tone

PATH = "/v1/audio/transcriptions"
MODEL = [("model", "whisper-1")]
SECOND = wav(tone(1.0))
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
SMALL: dict[str, Any] = {"http_port": 0, "max_upload": 1, "max_file_seconds": 60}


def upload(**headers: Any) -> bytes:
    """Return the head of an upload in chunks, or as the headers say."""
    return head("POST", PATH, content_type=MULTIPART, **headers)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = upload(transfer_encoding="chunked")
BODY = form(MODEL, SECOND)
END = f"\r\n--{BOUNDARY}--\r\n".encode()


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Peer]:
    async with peer(f"tcp://{address(server)}") as connection:
        yield connection


async def send(server: Server, data: bytes) -> Reply:
    """Send bytes; return the response after which the server closes the connection."""
    async with connected(server) as connection:
        return await response(connection.send(data))


def in_use() -> tuple[int, int, int]:
    """Return the numbers of file descriptors, tasks and threads. Pools keep their threads."""
    pools = ("upload", "spool", "vad", "asyncio")
    threads = [one for one in threading.enumerate() if not one.name.startswith(pools)]
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), len(threads)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@asynccontextmanager
async def unharmed(
    server: Server, folder: Path, log: pytest.LogCaptureFixture
) -> AsyncIterator[Server]:
    """Check that what happens inside leaves nothing behind, and that the server goes on."""
    log.set_level(logging.INFO)
    await request(server, "GET", "/health")
    await server.serves()
    await until(lambda: server.connections == 0)
    before, stored = in_use(), files(folder)
    yield server
    await until(lambda: all(now <= then for now, then in zip(in_use(), before, strict=True)))
    assert files(folder) == stored
    assert not [record for record in log.records if record.exc_info]
    assert not [record for record in log.records if record.name.startswith("uvicorn")]
    await server.serves()


def tasks_of(server: Server) -> set[asyncio.Task[None]]:
    assert server.service._api_server is not None
    return server.service._api_server._server._server.server_state.tasks
