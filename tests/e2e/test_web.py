"""The web page's server: access, WebSocket messages and limits."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.processes import BASE, serve_without
from tests.support.serving import peer, until, warnings
from tests.support.web import address, browser, get
from wyoming_faster_whisper.errors import ServerError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits

from .conftest import Serve, StartProcess
from .test_lifecycle import stopping


async def test_the_page_and_its_files_are_served(serve: Serve) -> None:
    where = address(await serve(http_port=0))
    page = await get(where, "/")
    assert page.status == 200
    for name in ("page.js", "page.css", "icon.svg"):
        assert name in page.text
        assert (await get(where, f"/{name}")).status == 200
    assert (await get(where, "/capture.js")).headers["content-type"].startswith("text/javascript")
    assert (await get(where, "/../settings.py")).status == 404


async def test_the_page_loads_nothing_from_other_origins(serve: Serve) -> None:
    where = address(await serve(http_port=0))
    page = await get(where, "/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert f"connect-src 'self' ws://{where} " in page.headers["content-security-policy"]
    assert "://" not in page.text


async def test_the_page_is_off_by_default(serve: Serve) -> None:
    assert (await serve()).service.http_url is None


@pytest.mark.parametrize("port", [False, True])
async def test_the_api_is_only_imported_if_it_has_a_port(
    start_process: StartProcess, port: bool
) -> None:
    """Pydantic has a shared library, so the kernel knows whether FastAPI was imported."""
    options = ["--uri=tcp://127.0.0.1:0", *BASE, "--http-port=0"]
    process = await start_process(*options[: len(options) - 1 + port])
    await process.ready()
    maps = Path(f"/proc/{process.process.pid}/maps")
    assert ("pydantic_core" in await asyncio.to_thread(maps.read_text)) is port


async def test_the_page_can_query_the_model_and_its_languages(serve: Serve) -> None:
    server = await serve(http_port=0)
    await server.serves()
    about = json.loads((await get(address(server), "/about")).text)
    assert about["model"] == "base"
    assert about["ready"] is True
    assert about["streams"] is True
    assert "de" in about["languages"]


async def test_an_unknown_host_name_is_refused(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    where = address(await serve(http_port=0))
    refused = await get(where, "/", host="evil.example")
    assert (refused.status, refused.headers["connection"]) == (403, "close")
    assert "--http-names" in refused.text
    assert any("evil.example" in line for line in warnings(caplog))


async def test_a_host_name_given_by_the_operator_is_accepted(serve: Serve) -> None:
    where = address(await serve(http_port=0, http_names="stt.example.org"))
    assert (await get(where, "/", host="stt.example.org")).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", ""])
async def test_a_page_of_another_origin_may_not_connect(
    serve: Serve, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    with pytest.raises(InvalidStatus) as refused:
        async with browser(server, origin=origin):
            pass
    assert refused.value.response.status_code == 403
    told = [one for one in caplog.records if one.levelno > logging.INFO and one.name != "asyncio"]
    assert len(told) == 1
    assert f"a page from {origin!r} may not connect" in told[0].getMessage()


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
async def test_speech_in_the_browser_is_transcribed(serve: Serve, rate: int) -> None:
    async with browser(await serve(http_port=0)) as client:
        await client.say(tone(1.0, rate=rate), rate=rate)
        assert await client.final() == "1.0 seconds"


async def test_several_utterances_on_one_connection_are_answered(serve: Serve) -> None:
    async with browser(await serve(http_port=0)) as client:
        for seconds in (1.0, 2.0):
            await client.say(tone(seconds))
            assert await client.final() == f"{seconds} seconds"


async def test_partial_text_comes_before_the_answer_and_grows_into_it(serve: Serve) -> None:
    async with browser(await serve(http_port=0)) as client:
        for _ in range(2):
            await client.say(np.concatenate([tone(1.0), silence(2.5), tone(1.0)]))
            texts = []
            while (message := await client.receive())["type"] == "partial":
                texts.append(message["text"])
            assert message["type"] == "final"
            assert texts[-1] == message["text"]
            assert all(longer.startswith(text) for text, longer in pairwise(texts))


async def test_the_browser_chooses_the_language(serve: Serve) -> None:
    engine = FakeEngine()
    async with browser(await serve(engine, http_port=0)) as client:
        await client.say(tone(1.0), language="de")
        await client.final()
    assert engine.decoded[-1].options.language == "de"


@pytest.mark.parametrize(
    ("message", "code", "says"),
    [
        ("junk", "protocol", "not JSON"),
        (b"\xffjunk", "protocol", "5 bytes of audio came before a start"),
        ("[" * 100_000, "protocol", "not JSON"),
        ('"start"', "protocol", "not a JSON object"),
        ('{"type": "sing"}', "protocol", "sing"),
        ('{"type": "start"}', "protocol", "rate"),
        ('{"type": "start", "rate": true}', "protocol", "rate"),
        ('{"type": "start", "rate": 7}', "audio", "7 Hz"),
        ('{"type": "start", "rate": 16000, "language": 7}', "protocol", "language"),
    ],
)
async def test_a_malformed_message_is_answered_with_an_error(
    serve: Serve, message: str | bytes, code: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    async with browser(server) as client:
        await client.connection.send(message)
        told, sentence, closed = await client.error()
    assert (told, closed) == (code, 1008)
    assert says in sentence
    assert len(warnings(caplog)) == 1
    await server.serves()


async def test_a_message_over_the_limit_ends_the_connection(serve: Serve) -> None:
    server = await serve(http_port=0)
    async with browser(server) as client:
        await client.start()
        await client.connection.send(bytes(2 * 1024 * 1024))
        assert await client.closed() == 1009
    await server.serves()


async def test_input_that_is_not_http_is_refused(serve: Serve) -> None:
    server = await serve(http_port=0)
    async with peer(f"tcp://{address(server)}") as stranger:
        stranger.send(b"hello there\r\n\r\n")
        assert b"400" in await stranger.rest()
    await server.serves()


async def test_a_client_that_never_completes_its_request_times_out(serve: Serve) -> None:
    server = await serve(http_port=0, limits=ClientLimits(first_event=0.1))
    async with peer(f"tcp://{address(server)}") as silent:
        silent.send(b"GET / HTTP/1.1\r\nX: ")
        assert await silent.rest() == b""


async def test_a_silent_browser_gets_a_timeout_error(serve: Serve) -> None:
    server = await serve(http_port=0, limits=ClientLimits(first_event=0.1))
    async with browser(server) as client:
        code, _, closed = await client.error()
    assert (code, closed) == ("timeout", 1008)


async def test_a_browser_that_disconnects_leaves_nothing_in_memory(serve: Serve) -> None:
    server = await serve(http_port=0)
    async with browser(server) as client:
        await client.start()
        await client.hear(tone(1.0))
        await until(lambda: server.memory.used > 0)
        client.connection.transport.abort()
    await until(lambda: server.memory.used == 0)
    await until(lambda: server.browsers == 0)
    await server.serves()


async def test_a_browser_beyond_the_limit_gets_a_busy_error(serve: Serve) -> None:
    server = await serve(http_port=0, max_connections=1)
    async with browser(server) as first:
        await first.start()
        await first.hear(tone(0.1))
        await until(lambda: server.memory.used > 0)
        async with browser(server) as late:
            code, _, closed = await late.error()
        assert (code, closed) == ("busy", 1013)


async def test_a_browser_that_never_sent_audio_is_evicted(serve: Serve) -> None:
    server = await serve(http_port=0, max_connections=1)
    async with browser(server) as silent, browser(server) as speaker:
        await speaker.say(tone(1.0))
        assert await speaker.final() == "1.0 seconds"
        assert await silent.closed() == 1001


async def test_an_utterance_over_the_limit_is_answered_and_its_rest_discarded(
    serve: Serve,
) -> None:
    server = await serve(http_port=0, max_audio_seconds=2)
    async with browser(server) as client:
        await client.start()
        for _ in range(30):
            await client.connection.send(pcm16(tone(0.1)))
        assert await client.final() == "2.0 seconds"
        await client.stop()
        await client.say(tone(1.0))
        assert await client.final() == "1.0 seconds"


async def test_a_stopping_server_sends_a_pending_answer_to_the_browser(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    async with browser(server) as client, browser(server) as idle:
        await client.say(tone(1.0))
        await until(engine.decoding.is_set)
        closing = await stopping(server)
        assert await idle.closed() == 1001
        engine.release()
        assert await client.final() == "1.0 seconds"
        assert await client.closed() == 1001
        await closing


async def test_a_web_port_in_use_is_an_error_that_names_the_option(serve: Serve) -> None:
    port = address(await serve(http_port=0)).rpartition(":")[2]
    with pytest.raises(SettingError) as caught:
        await serve(http_port=port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1, port {port}: Address already in use; see --http-port"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "nosuch.invalid"])  # RFC 5737, RFC 6761
@pytest.mark.parametrize("listener", ["http", "metrics"])
async def test_an_address_that_the_machine_lacks_is_an_error_that_names_the_option(
    serve: Serve, listener: str, host: str
) -> None:
    given: dict[str, Any] = {f"{listener}_host": host, f"{listener}_port": 0}
    if listener == "http":
        given["http_open"] = True
    with pytest.raises(ServerError, match=rf"listen on {host}, .*; see --{listener}-host$"):
        await serve(**given)


async def test_a_missing_extra_is_named_in_the_error(tmp_path: Path) -> None:
    ended = await serve_without("starlette", "--http-port", "0", folder=tmp_path)
    assert ended.status == 2
    assert "--http-port needs starlette" in ended.err
    assert "wyoming-faster-whisper[http]" in ended.err
