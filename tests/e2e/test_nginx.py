"""The API behind nginx, with the very blocks of docs/security.md."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from bench.support.servers import free_port
from tests.support.api import BOUNDARY, Reply, form, head, response, wav
from tests.support.auth import KEY, bearer, write_keys
from tests.support.chromium import Page
from tests.support.nginx import nginx, shown
from tests.support.realtime import talker
from tests.support.serving import Server, peer, until
from tests.support.sse import events
from tests.support.web import address
from wyoming_faster_whisper.testing import FakeEngine, silence, tone

from .conftest import Serve

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (Debian: nginx-light)"
)

PATH = "/v1/audio/transcriptions"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
SPEECH = wav(tone(1.0))
WHISPER = ("model", "whisper-1")


@pytest.fixture
async def server(serve: Serve, tmp_path: Path) -> Server:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    return await serve(FakeEngine(parallel=2), http_port=0, api_keys=keys)


@pytest.fixture
async def proxy(server: Server, tmp_path: Path) -> AsyncIterator[str]:
    """HOST:PORT of the proxy that the page recommends for all clients."""
    port = free_port()
    block = shown(0, proxy_pass=f"http://{address(server)}")
    config = f"server {{ listen 127.0.0.1:{port}; {block} }}"
    async with nginx(config, tmp_path / "nginx", port):
        yield f"127.0.0.1:{port}"


def request(path: str, **headers: Any) -> bytes:
    given = {"content_type": MULTIPART, "authorization": bearer(KEY), "connection": "close"}
    return head("POST", path, **(given | headers))


async def test_a_key_passes_the_proxy(proxy: str) -> None:
    async with AsyncOpenAI(base_url=f"http://{proxy}/v1", api_key=KEY) as client:
        assert (await client.models.list()).data
        answer = await client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", SPEECH)
        )
        assert answer.text == "1.0 seconds"


async def test_without_a_key_the_client_gets_the_server_s_error(proxy: str) -> None:
    body = form([WHISPER], SPEECH)
    async with peer(f"tcp://{proxy}") as connection:
        connection.send(request(PATH, length=len(body), authorization="Bearer ") + body)
        reply = await response(connection)
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


async def test_real_time_passes_the_proxy(proxy: str) -> None:
    async with talker(f"http://{proxy}/v1", authorization=bearer(KEY)) as client:
        await client.receive("session.created")
        await client.configure(turn_detection=None)
        await client.append(tone(1.0))
        await client.commit()
        assert "seconds" in await client.transcript()


async def test_the_page_passes_a_proxy_on_a_port_of_its_own(proxy: str) -> None:
    """A browser names the port in Origin, which the server compares with Host."""
    key = f"openai-insecure-api-key.{KEY}"
    async with connect(
        f"ws://{proxy}/speech",
        origin=Origin(f"http://{proxy}"),
        subprotocols=[Subprotocol("speech"), Subprotocol(key)],
    ) as socket:
        assert socket.subprotocol == "speech"


async def test_the_page_passes_a_proxy_with_a_password_of_its_own(
    server: Server, page: Page, tmp_path: Path
) -> None:
    """The browser sends the password in Authorization, so the page's key needs another header."""
    port = free_port()
    (tmp_path / "passwords").write_text("alice:{PLAIN}secret\n")
    password = f"auth_basic home; auth_basic_user_file {tmp_path}/passwords;"
    block = shown(0, proxy_pass=f"http://{address(server)}")
    config = f"server {{ listen 127.0.0.1:{port}; {password} {block} }}"
    async with nginx(config, tmp_path / "nginx", port):
        # Entered before: Chromium forgets the password when it sees the server's 401.
        await page.prepare(f"sessionStorage.setItem('key', '{KEY}')")
        await page.open(f"http://alice:secret@127.0.0.1:{port}")
        await page.open(f"http://127.0.0.1:{port}")
        await page.until("document.querySelector('#server').dataset.state === 'ready'")
        await page.evaluate("document.querySelector('#speak').click()")
        await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
        await page.evaluate("document.querySelector('#speak').click()")
        await page.until("document.querySelector('#text').dataset.kind === 'final'")


async def test_an_upload_is_decoded_while_it_passes_the_proxy(proxy: str, server: Server) -> None:
    sound = wav(np.concatenate([tone(5.0), silence(20.0), tone(2.0)]))
    body = form([WHISPER, ("language", "en"), ("stream", "true")], sound)
    async with peer(f"tcp://{proxy}") as connection:
        connection.send(request(PATH, transfer_encoding="chunked"))
        for piece in (body[:-1000], body[-1000:]):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await until(lambda: bool(server.engine.decoded))
        reply = await response(connection.send(b"0\r\n\r\n"))
    assert reply.status == 200
    *deltas, done, end = events(reply.body)
    assert "".join(event.json["delta"] for event in deltas) == done.json["text"]
    assert end.data == "[DONE]"


async def test_an_upload_may_be_larger_than_what_nginx_takes_by_default(proxy: str) -> None:
    body = form([WHISPER], wav(np.concatenate([tone(1.0), silence(60.0)])))
    assert len(body) > 1 << 20
    async with peer(f"tcp://{proxy}") as connection:
        connection.send(request(PATH, length=len(body)) + body)
        assert (await response(connection)).json["text"] == "1.4 seconds"  # and a pad


@pytest.fixture
async def below(server: Server, tmp_path: Path) -> AsyncIterator[str]:
    """HOST:PORT of a proxy that serves everything below /speech/."""
    port = free_port()
    block = shown(0, proxy_pass=f"http://{address(server)}/")
    block = block.replace("location / {", "location /speech/ {")
    config = f"server {{ listen 127.0.0.1:{port}; {block} }}"
    async with nginx(config, tmp_path / "nginx", port):
        yield f"127.0.0.1:{port}"


async def get(proxy: str, path: str) -> Reply:
    async with peer(f"tcp://{proxy}") as connection:
        connection.send(head("GET", path, authorization=bearer(KEY), connection="close"))
        return await response(connection)


async def test_the_api_may_have_a_path_of_its_own(below: str) -> None:
    body = form([WHISPER, ("background", "true")], SPEECH)
    async with peer(f"tcp://{below}") as connection:
        connection.send(request(f"/speech{PATH}", length=len(body)) + body)
        reply = await response(connection)
    assert reply.status == 202
    url = urljoin(f"/speech{PATH}", reply.headers["location"])
    assert (await get(below, f"{url}?wait=30")).json["result"]["text"] == "1.0 seconds"


async def test_the_description_works_below_that_path(below: str) -> None:
    page = (await get(below, "/speech/docs")).body.decode()
    loaded = re.findall(r"""(?:href|src)="([^"]+)"|url: '([^']+)'""", page)
    urls = [urljoin("/speech/docs", linked or described) for linked, described in loaded]
    assert len(urls) == 4  # the style, the icon, the script, and /openapi.json
    for url in urls:
        assert (url, (await get(below, url)).status) == (url, 200)
    [server] = (await get(below, "/speech/openapi.json")).json["servers"]
    assert urljoin("/speech/openapi.json", server["url"]) == "/speech/"


async def test_a_proxy_can_add_the_key_for_a_program_without_one(
    server: Server, tmp_path: Path
) -> None:
    """Bazarr sends none."""
    port = free_port()
    config = shown(1, listen=f"127.0.0.1:{port}", proxy_pass=f"http://{address(server)}")
    config = config.replace("Bearer KEY", bearer(KEY))
    body = form([], SPEECH, name="audio_file")
    async with nginx(config, tmp_path / "nginx", port), peer(f"tcp://127.0.0.1:{port}") as client:
        client.send(request("/asr?output=json", length=len(body), authorization="") + body)
        assert (await response(client)).json["text"].strip() == "1.0 seconds"
