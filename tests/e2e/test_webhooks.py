"""Webhooks of background jobs, received by a real server and verified by OpenAI's client."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai as sdk
import pytest

from tests.support.api import Reply, form, openai, post, request, wav
from tests.support.processes import run
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import FakeEngine, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

from .conftest import Serve

PATH = "/v1/audio/transcriptions"
SECRET = "whsec_" + 32 * "A"
SECOND = wav(tone(1.0))


@dataclass
class Receiver:
    """A server that takes webhooks."""

    url: str = ""
    status: str = "200 OK\r\n"
    received: asyncio.Queue[tuple[str, dict[str, str], bytes]] = field(
        default_factory=asyncio.Queue
    )

    async def event(self) -> Any:
        """Return the next event."""
        _, _, body = await self.received.get()
        return json.loads(body)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines if line]
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        writer.write(f"HTTP/1.1 {self.status}content-length: 0\r\n\r\n".encode())
        await self.received.put((first, headers, body))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with TcpServer(receiver.serve) as server:
        receiver.url = f"http://127.0.0.1:{server.port}"
        yield receiver


async def test_openai_s_client_verifies_the_event_and_fetches_the_job(
    serve: Serve, receiver: Receiver
) -> None:
    server = await serve(http_port=0, webhook_url=f"{receiver.url}/hooks", webhook_secret=SECRET)
    fields = [("background", "true"), ("webhook_url", f"{receiver.url}/hooks/1?a=b")]
    identity = (await post(server, PATH, form(fields, SECOND))).json["id"]
    line, headers, body = await receiver.received.get()
    assert line == "POST /hooks/1?a=b HTTP/1.1"
    async with openai(server) as client:
        event: Any = client.webhooks.unwrap(body, headers, secret=SECRET)
        assert (event.type, event.data.id) == ("transcription.completed", identity)
        with pytest.raises(sdk.InvalidWebhookSignatureError):
            client.webhooks.unwrap(body + b" ", headers, secret=SECRET)
        with pytest.raises(sdk.InvalidWebhookSignatureError):
            client.webhooks.unwrap(body, headers, secret="whsec_" + 32 * "B")
    job = (await request(server, "GET", f"{PATH}/{identity}")).json
    assert job["result"]["text"] == "1.0 seconds"


async def test_a_failed_job_is_told_as_well(serve: Serve, receiver: Receiver) -> None:
    server = await serve(http_port=0, webhook_url=receiver.url, webhook_secret=SECRET)
    fields = [("background", "true"), ("webhook_url", f"{receiver.url}/a")]
    await post(server, PATH, form(fields, b"no audio"))
    assert (await receiver.event())["type"] == "transcription.failed"


async def test_a_redirect_is_not_followed(serve: Serve, receiver: Receiver) -> None:
    server = await serve(http_port=0, webhook_url=f"{receiver.url}/a", webhook_secret=SECRET)
    receiver.status = f"307 Temporary Redirect\r\nlocation: {receiver.url}/b\r\n"
    fields = [("background", "true"), ("webhook_url", f"{receiver.url}/a")]
    await post(server, PATH, form(fields, SECOND))
    await receiver.received.get()
    await server.service.close()
    assert receiver.received.empty()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hooks", "http://127.0.0.1.evil.example/"])
async def test_any_other_url_is_refused(serve: Serve, receiver: Receiver, url: str) -> None:
    server = await serve(http_port=0, webhook_url=receiver.url, webhook_secret=SECRET)
    fields = [("background", "true"), ("webhook_url", url)]
    refused = await post(server, PATH, form(fields, SECOND))
    assert (refused.status, refused.error["code"]) == (400, "webhook_url_not_allowed")


async def test_a_stopping_server_tells_about_the_jobs_that_it_loses(
    serve: Serve, receiver: Receiver
) -> None:
    engine = FakeEngine(held=True)
    server = await serve(
        engine, http_port=0, max_files=1, webhook_url=receiver.url, webhook_secret=SECRET
    )
    body = form([("background", "true"), ("webhook_url", receiver.url)], SECOND)
    first, second = [(await post(server, PATH, body)).json["id"] for _ in range(2)]
    closing = asyncio.create_task(server.service.close())
    lost = await receiver.event()
    assert (lost["type"], lost["data"]["id"]) == ("transcription.failed", second)
    engine.release()
    ended = await receiver.event()
    assert (ended["type"], ended["data"]["id"]) == ("transcription.completed", first)
    await closing


async def test_a_field_after_the_file_may_be_the_one_that_others_need(
    serve: Serve, receiver: Receiver
) -> None:
    server = await serve(http_port=0, webhook_url=receiver.url, webhook_secret=SECRET)

    async def send(*before: tuple[str, str], after: str) -> Reply:
        start = form([("model", "whisper-1"), *before], wav(tone(20.0)))  # arrives in parts
        rest = form([(after, "true")], None)
        return await post(server, PATH, start.removesuffix(b"--boundary--\r\n") + rest)

    job = await send(("webhook_url", receiver.url), after="background")
    assert job.status == 202
    text = await send(("include[]", "logprobs"), ("response_format", "text"), after="stream")
    assert b'"logprobs":' in text.body


async def test_a_webhook_prefix_that_is_not_a_url_stops_the_start(serve: Serve) -> None:
    with pytest.raises(SettingError, match="--webhook-url"):
        await serve(http_port=0, webhook_url="hooks.example.org", webhook_secret=SECRET)


async def test_a_server_without_webhooks_loads_no_http_client(tmp_path: Path) -> None:
    code = (
        "import sys, wyoming_faster_whisper.transports.http.api_server; "
        "sys.exit('httpx2' in sys.modules)"
    )
    assert (await run(sys.executable, "-c", code, folder=tmp_path)).status == 0
