"""Clients that stop sending, leave, or do not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.api import form, head, post
from tests.support.attacks import (
    BODY,
    CHUNKED,
    MODEL,
    PATH,
    SECOND,
    SMALL,
    chunk,
    connected,
    tasks_of,
    unharmed,
    upload,
)
from tests.support.serving import Peer, Server, until, warnings
from tests.support.web import address
from wyoming_faster_whisper.testing import FakeEngine
from wyoming_faster_whisper.transports.lifecycle import ClientLimits

from ..conftest import Serve

IMPATIENT = ClientLimits(write=0.3)


async def test_bytes_after_the_final_boundary_are_ignored(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await post(target, PATH, BODY + b"x" * 900_000)).status == 200
    assert warnings(caplog) == []


async def test_a_body_that_stops_times_out(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(audio_timeout=0.2, **SMALL), tmp_path, caplog) as server:
        async with connected(server) as connection:
            connection.send(upload(content_length="1000") + BODY[:500])
            answer = await connection.until(b"}}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"--audio-timeout" in answer


async def test_a_body_that_trickles_times_out(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(upload_timeout=0.3, **SMALL)
    async with unharmed(server, tmp_path, caplog), connected(server) as connection:
        connection.send(CHUNKED)
        answer = asyncio.create_task(connection.until(b"}}"))
        for byte in BODY:
            connection.send(chunk(bytes([byte])))
            if (await asyncio.wait([answer], timeout=0.02))[0]:
                break
        assert (await answer).startswith(b"HTTP/1.1 408 ")
        assert b"--upload-timeout" in await answer


async def test_a_client_that_leaves_inside_its_upload_is_forgotten(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (0, 200, len(BODY) - 1):
        for reset in (False, True):
            async with connected(target) as connection:
                connection.send(upload(content_length=str(len(BODY))) + BODY[:sent])
                await until(lambda: bool(tasks_of(target)))
                await connection.vanish(reset=reset)
            await until(lambda: not tasks_of(target))
    assert warnings(caplog) == []
    assert "left before" in caplog.text


BAD = [
    b"garbage\r\n\r\n",
    head("GET", "/nothing"),
    head("POST", PATH, content_type="application/json", length=0),
    head("GET", "/", origin="http://evil.example", host="evil.example"),
    head("GET", "/v1/models", origin="http://evil.example"),
    head("GET", f"{PATH}/none"),
    head("GET", "/v1/models", connection="upgrade", upgrade="websocket"),
    upload(content_length="100"),  # and leaves
]


async def test_many_bad_requests_write_few_lines(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    began, seen = loop.time(), len(caplog.records)
    for bad in BAD * 25:
        async with connected(target) as connection:
            connection.send(bad)
            if bad is not BAD[-1]:
                await connection.rest()
    await until(lambda: not tasks_of(target))
    # Three logs of one line a second: connections, refused requests, abandoned ones.
    written = [one for one in caplog.records[seen:] if one.name.startswith("wyoming_faster")]
    assert len(written) <= 3 * (2 + loop.time() - began)
    assert len(written) < len(BAD) * 25 / 2


LONG_TEXT = "word " * 400_000  # much more than what the buffers of both ends hold


@asynccontextmanager
async def lazy_reader(server: Server, fields: list[tuple[str, str]]) -> AsyncIterator[Peer]:
    """Upload a file over a connection whose receive buffer is small."""
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.setblocking(False)
    host, _, port = address(server).rpartition(":")
    await asyncio.get_running_loop().sock_connect(lazy, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=lazy, limit=4096)
    body = form([*MODEL, *fields], SECOND)
    writer.write(upload(content_length=str(len(body))) + body)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("fields", [[], [("stream", "true")]])
async def test_a_client_that_does_not_read_its_answer_is_disconnected(
    serve: Serve,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fields: list[tuple[str, str]],
) -> None:
    said = iter(["1.0 seconds", LONG_TEXT, "1.0 seconds"])
    server = await serve(FakeEngine(lambda _: next(said)), limits=IMPATIENT, **SMALL)
    async with unharmed(server, tmp_path, caplog), lazy_reader(server, fields):
        await until(lambda: "read nothing of its response" in caplog.text)
        await until(lambda: not tasks_of(server))


async def test_a_client_that_reads_slowly_gets_all_of_its_answer(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = iter(["1.0 seconds", LONG_TEXT, "1.0 seconds"])
    server = await serve(FakeEngine(lambda _: next(said)), limits=IMPATIENT, **SMALL)
    async with unharmed(server, tmp_path, caplog), lazy_reader(server, []) as connection:
        got = await connection.until(b"\r\n\r\n")
        for size in range(100_000, 900_000, 100_000):  # more than the time limit in all
            while len(got) < size:
                got += await connection._reader.read(8192)
            await asyncio.sleep(0.1)
        got += await connection.rest()
    assert len(json.loads(got.partition(b"\r\n\r\n")[2])["text"]) == len(LONG_TEXT)
