"""The files for the page to work without the server, over HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.auth import write_keys
from tests.support.offline import MODEL, put_files
from tests.support.serving import DEADLINE, Server, peer
from tests.support.web import address, get

from .conftest import Serve


async def started(serve: Serve, tmp_path: Path, **options: Any) -> Server:
    await asyncio.to_thread(put_files, tmp_path)
    return await serve(http_port=0, model=MODEL, **options)


def url(manifest: dict[str, Any], name: str) -> str:
    file = next(file for file in manifest["files"] if file["name"] == name)
    return f"/offline/files/{file['sha256'][:16]}/{name}"


async def manifest_of(server: Server) -> dict[str, Any]:
    said = await get(address(server), "/offline/manifest.json")
    assert said.status == 200, said
    found: dict[str, Any] = json.loads(said.text)
    return found


async def fetched(server: Server, path: str, *headers: str) -> tuple[str, bytes]:
    """Return the head and the body of a response."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {address(server)}", *headers, "", ""]
    async with peer(f"tcp://{address(server)}") as connection:
        connection.send("\r\n".join(lines).encode())
        head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
    return head.decode(), body


async def test_a_file_may_be_stored_for_ever_under_its_hash(serve: Serve, tmp_path: Path) -> None:
    server = await started(serve, tmp_path)
    manifest = await manifest_of(server)
    head, body = await fetched(server, url(manifest, "encoder.weights"))
    assert "max-age=31536000, immutable" in head
    assert len(body) == 3_000_000
    runtime, _ = await fetched(server, url(manifest, "ort.wasm.min.mjs"))
    assert "content-type: text/javascript" in runtime
    head, _ = await fetched(server, "/offline/files/0123456789abcdef/encoder.weights")
    assert head.startswith("HTTP/1.1 404")
    head, _ = await fetched(server, "/offline/files/..%2f..%2f/model.bin")
    assert head.startswith("HTTP/1.1 404")


async def test_a_broken_download_can_go_on(serve: Serve, tmp_path: Path) -> None:
    server = await started(serve, tmp_path)
    path = url(await manifest_of(server), "encoder.weights")
    _, whole = await fetched(server, path)
    head, rest = await fetched(server, path, "Range: bytes=1000000-")
    assert head.startswith("HTTP/1.1 206")
    assert rest == whole[1_000_000:]


async def test_only_some_downloads_run_at_the_same_time(serve: Serve, tmp_path: Path) -> None:
    server = await started(serve, tmp_path)
    path = url(await manifest_of(server), "encoder.weights")
    request = f"GET {path} HTTP/1.1\r\nHost: {address(server)}\r\n\r\n".encode()
    where = f"tcp://{address(server)}"
    async with asyncio.TaskGroup() as group, peer(where) as first:
        first.send(request)

        async def hold(ready: asyncio.Event, done: asyncio.Event) -> None:
            async with peer(where) as connection:
                connection.send(request)
                assert (await connection.until(b"\r\n")).startswith(b"HTTP/1.1 200")
                ready.set()
                await done.wait()

        assert (await first.until(b"\r\n")).startswith(b"HTTP/1.1 200")
        done, ready = asyncio.Event(), [asyncio.Event() for _ in range(7)]
        for one in ready:
            group.create_task(hold(one, done))
        for one in ready:
            await one.wait()
        head, _ = await fetched(server, path)
        assert head.startswith("HTTP/1.1 503")
        assert "retry-after: 2" in head
        done.set()
    async with asyncio.timeout(DEADLINE):  # until the server has noticed that they are gone
        while not (await fetched(server, path))[0].startswith("HTTP/1.1 200"):
            pass


async def test_the_manifest_says_why_there_are_no_files(serve: Serve, tmp_path: Path) -> None:
    folder = await asyncio.to_thread(put_files, tmp_path)
    await asyncio.to_thread(shutil.rmtree, folder)
    server = await serve(http_port=0, model=MODEL)
    said = await get(address(server), "/offline/manifest.json")
    assert said.status == 503
    assert "is incomplete" in json.loads(said.text)["error"]


async def test_the_page_is_told_whether_there_are_files(serve: Serve, tmp_path: Path) -> None:
    server = await started(serve, tmp_path)
    assert json.loads((await get(address(server), "/about")).text)["offline"] is True
    off = await serve(http_port=0, model=MODEL, offline_model="off")
    assert json.loads((await get(address(off), "/about")).text)["offline"] is False
    assert (await get(address(off), "/offline/manifest.json")).status == 404


async def test_the_files_need_a_key(serve: Serve, tmp_path: Path) -> None:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    server = await started(serve, tmp_path, api_keys=keys)
    assert (await get(address(server), "/offline/manifest.json")).status == 401
    assert (await get(address(server), "/sw.js")).status == 200
