"""The API from web pages of other origins, in Chromium."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import request, wav
from tests.support.auth import KEY, bearer, write_keys
from tests.support.chromium import Page, hearing
from tests.support.serving import Server, warnings
from tests.support.web import address
from wyoming_faster_whisper.testing import pcm16, silence, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

from .conftest import Serve

_PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>A page</p>"
_SOUND = base64.b64encode(wav(tone(1.0))).decode()


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    """The origin of a web site with one page."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_PAGE)

    async with TcpServer(serve) as site:
        yield f"http://127.0.0.1:{site.port}"


@pytest.fixture
async def page(tmp_path: Path, origin: str) -> AsyncIterator[Page]:
    async with hearing(silence(0.1), tmp_path) as opened:
        await opened.open(origin)
        yield opened


async def fetched(page: Page, server: Server, headers: dict[str, str]) -> Any:
    """Post a file from the page; return the status, the text and the id that the page sees."""
    script = f"""(async () => {{
        const form = new FormData();
        const sound = await (await fetch("data:audio/wav;base64,{_SOUND}")).blob();
        form.append("file", sound, "a.wav");
        form.append("model", "whisper-1");
        const url = "http://{address(server)}/v1/audio/transcriptions";
        const headers = {json.dumps(headers)};
        try {{
            const response = await fetch(url, {{ method: "POST", body: form, headers }});
            const {{ text }} = await response.json();
            return [response.status, text, response.headers.get("x-request-id")];
        }} catch (error) {{
            return error.constructor.name;
        }}
    }})()"""
    return await page.evaluate(script)


async def test_an_allowed_page_uses_the_api_after_a_preflight(
    serve: Serve, page: Page, origin: str
) -> None:
    server = await serve(http_port=0, http_origins=origin)
    headers = {"Authorization": "Bearer none", "X-Stainless-Lang": "js", "OpenAI-Project": "a"}
    status, text, identity = await fetched(page, server, headers)
    assert (status, text) == (200, "1.0 seconds")
    assert identity.startswith("req_")


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer none"}, {}])
async def test_another_page_cannot_use_it(
    serve: Serve, page: Page, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0, http_origins="app://obsidian.md")
    assert await fetched(page, server, headers) == "TypeError"
    assert server.engine.decoded == []  # without a preflight the request itself arrives
    if not headers:
        assert any("--http-origins" in line for line in warnings(caplog))


async def spoken(page: Page, server: Server, key: str) -> Any:
    """Speak over a WebSocket of the page; return the protocol, the close code and the transcript.

    The protocol and the transcript are empty if the WebSocket is refused.
    """
    audio = base64.b64encode(pcm16(tone(1.0, rate=24_000))).decode()
    messages = [
        {
            "type": "session.update",
            "session": {"type": "transcription", "audio": {"input": {"turn_detection": None}}},
        },
        {"type": "input_audio_buffer.append", "audio": audio},
        {"type": "input_audio_buffer.commit"},
    ]
    script = f"""new Promise((resolve) => {{
        const url = "ws://{address(server)}/v1/realtime?intent=transcription";
        const socket = new WebSocket(url, ["realtime", "openai-insecure-api-key.{key}"]);
        let transcript = "";
        socket.onopen = () => {{
            for (const message of {json.dumps(messages)}) socket.send(JSON.stringify(message));
        }};
        socket.onmessage = ({{ data }}) => {{
            const event = JSON.parse(data);
            if (event.type.endsWith(".completed") || event.type === "error") {{
                transcript = event.transcript ?? data;
                socket.close(1000);
            }}
        }};
        socket.onclose = ({{ code }}) => resolve([socket.protocol, code, transcript]);
    }})"""
    return await page.evaluate(script)


@pytest.fixture
async def with_keys(serve: Serve, origin: str, tmp_path: Path) -> Server:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    return await serve(http_port=0, http_origins=origin, api_keys=keys)


async def test_an_allowed_page_transcribes_with_a_client_secret(
    with_keys: Server, page: Page
) -> None:
    made = await request(
        with_keys, "POST", "/v1/realtime/client_secrets", b"{}", authorization=bearer(KEY)
    )
    protocol, code, transcript = await spoken(page, with_keys, made.json["value"])
    assert (protocol, code) == ("realtime", 1000)
    assert transcript == "1.0 seconds"


async def test_a_page_with_a_wrong_client_secret_gets_no_websocket(
    with_keys: Server, page: Page
) -> None:
    assert await spoken(page, with_keys, "ek_wrong") == ["", 1006, ""]


async def test_a_page_of_another_origin_gets_no_websocket(serve: Serve, page: Page) -> None:
    server = await serve(http_port=0, http_origins="app://obsidian.md")
    assert await spoken(page, server, "none") == ["", 1006, ""]
