"""What is stored of an upload: in pieces, on a full disk, after a stop."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.support.api import form, head, post, response, wav
from tests.support.attacks import (
    BODY,
    MODEL,
    PATH,
    SMALL,
    connected,
    files,
    tasks_of,
    unharmed,
    upload,
)
from tests.support.disk import largest_file
from tests.support.serving import peer, until
from wyoming_faster_whisper.testing import FakeEngine, silence, tone
from wyoming_faster_whisper.transports.http.connections.server import HttpServer

from ..conftest import Serve, StartProcess


async def test_a_body_is_read_in_small_pieces() -> None:
    """Chunks of one byte would block the event loop for a second per 256 KiB."""
    sizes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await Response()(scope, receive, send)

    server = HttpServer(app, options="--http")
    where = (await server.start("127.0.0.1", 0)).replace("http", "tcp")
    try:
        async with peer(where) as connection:
            connection.send(head("POST", "/", length=2_000_000) + bytes(2_000_000))
            assert (await response(connection)).status == 200
    finally:
        await server.stop()
    assert sum(sizes) == 2_000_000
    assert max(sizes) <= (64 + 16) * 1024


@pytest.fixture
def full_disk() -> Iterator[None]:
    with largest_file(1024 * 1024):
        yield


async def test_a_full_disk_is_told_and_leaves_no_file(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, full_disk: None
) -> None:
    server = await serve(http_port=0)
    async with unharmed(server, tmp_path, caplog):
        reply = await post(server, PATH, form(MODEL, wav(silence(100.0))))
        assert (reply.status, reply.error["code"]) == (503, "storage_full")
        assert "file too large" in reply.error["message"]
        assert (await post(server, PATH, BODY)).status == 200


async def test_a_folder_that_cannot_be_written_is_told(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    (tmp_path / "tmp").rmdir()
    (tmp_path / "tmp").touch()
    async with unharmed(server, tmp_path, caplog):
        reply = await post(server, PATH, form(MODEL, wav(silence(100.0))))
        assert (reply.status, reply.error["code"]) == (503, "storage_full")


async def test_a_stop_inside_an_upload_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(**SMALL)
    async with connected(server) as connection:
        connection.send(upload(content_length=str(len(BODY))) + BODY[:2000])
        await until(lambda: bool(tasks_of(server)))
        assert server.service._api_server is not None
        await server.service._api_server.stop(0.1)
        reply = await response(connection)
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "stopping" in reply.error["message"]
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


async def test_a_stop_inside_a_stream_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    engine = FakeEngine()
    server = await serve(engine, **SMALL)
    body = form([*MODEL, ("stream", "true")], wav(np.concatenate([tone(5.0), silence(20.0)])))
    async with connected(server) as connection:
        connection.send(upload(content_length=str(len(body))) + body[:-100])
        await connection.until(b"delta")
        assert server.service._api_server is not None
        await server.service._api_server.stop(0.1)
        rest = await connection.rest()
    assert b"event: error" in rest
    assert b"stopping" in rest
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def target_of(link: Path) -> str:
    """Return what a symbolic link names; "" if it has just gone."""
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


async def test_a_killed_server_leaves_no_upload_on_the_disk(
    start_process: StartProcess, tmp_path: Path
) -> None:
    process = await start_process("--uri=tcp://127.0.0.1:0", "--http-port=0", "--model=tiny.en")
    where = (await process.logged(r"API at http://(\S+)/v1"))[1]
    async with peer(f"tcp://{where}") as connection:
        connection.send(upload(content_length="20000000", expect="100-continue"))
        await connection.until(b"\r\n\r\n")
        connection.send(form(MODEL, bytes(4_000_000))[:3_000_000])
        folder = tmp_path / "data"
        fds = Path(f"/proc/{process.process.pid}/fd")
        await until(lambda: any("(deleted)" in target_of(fd) for fd in fds.iterdir()))
        stored = files(folder)
        process.process.kill()
        await process.ended()
    assert files(folder) == stored == []
