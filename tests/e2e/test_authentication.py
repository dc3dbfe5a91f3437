"""API keys on all routes of the HTTP API, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest
from openai import AuthenticationError, PermissionDeniedError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.support.api import BOUNDARY, Reply, form, head, openai, post, request, response, wav
from tests.support.auth import FILES_ONLY, KEY, KEYS, REALTIME_ONLY, bearer, write_keys
from tests.support.serving import DEADLINE, Server, peer, until
from tests.support.web import address, browser
from wyoming_faster_whisper.app.log import JsonFormatter
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import FakeEngine, tone

from .conftest import Serve

TRANSCRIPTIONS = "/v1/audio/transcriptions"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
REFUSED = "wyoming_stt_auth_refusals_total"


@pytest.fixture
async def keys(tmp_path: Path) -> Path:
    return await asyncio.to_thread(write_keys, tmp_path / "keys")


@pytest.fixture
async def server(serve: Serve, keys: Path) -> Server:
    return await serve(http_port=0, api_keys=keys)


def assert_refused(reply: Reply, status: int = 401, code: str = "invalid_api_key") -> None:
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.headers["www-authenticate"].startswith('Bearer realm="')


async def test_a_file_is_transcribed_with_a_key(server: Server) -> None:
    async with openai(server) as client:
        client.api_key = KEY
        file = ("a.wav", wav(tone(1.0)))
        answer = await client.audio.transcriptions.create(model="whisper-1", file=file)
        assert answer.text == "1.0 seconds"
        assert (await client.models.list()).data


async def test_openai_s_client_says_that_the_key_is_wrong(server: Server) -> None:
    async with openai(server) as client:
        with pytest.raises(AuthenticationError, match="this key is not known"):
            await client.models.list()


async def test_openai_s_client_says_that_a_scope_is_missing(server: Server) -> None:
    async with openai(server) as client:
        client.api_key = REALTIME_ONLY
        assert (await client.models.list()).data
        with pytest.raises(PermissionDeniedError, match="scope stt:transcribe"):
            await client.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", wav(tone(1.0)))
            )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", prefix + TRANSCRIPTIONS[3:]) for prefix in ("/v1", "", "/openai/v1")),
        ("POST", "/v1/audio/translations"),
        ("POST", "/asr"),
        ("POST", "/detect-language"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/whisper-1"),
        ("GET", f"{TRANSCRIPTIONS}/trsc_0"),
        ("GET", f"{TRANSCRIPTIONS}/trsc_0/content"),
        ("DELETE", f"{TRANSCRIPTIONS}/trsc_0"),
        ("GET", "/about"),
        ("GET", "/speech"),
        ("GET", "/nothing"),
    ],
)
async def test_every_route_needs_a_key(server: Server, method: str, path: str) -> None:
    missing = await request(server, method, path, b"" if method == "POST" else None)
    assert_refused(missing)
    assert "error=" not in missing.headers["www-authenticate"], "as RFC 6750 wants"
    wrong = await request(server, method, path, None, authorization=bearer("wrong"))
    assert_refused(wrong)
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/health", "/", "/page.js", "/docs", "/openapi.json"])
async def test_the_page_health_and_docs_are_open(server: Server, path: str) -> None:
    await server.serves()
    assert (await request(server, "GET", path)).status == 200


async def test_the_description_of_the_api_says_that_it_needs_a_key(server: Server) -> None:
    schema = (await request(server, "GET", "/openapi.json")).json
    assert schema["security"] == [{"key": []}]
    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert schema["paths"]["/health"]["get"]["security"] == []


async def test_without_keys_the_description_names_none(serve: Serve) -> None:
    schema = (await request(await serve(http_port=0), "GET", "/openapi.json")).json
    assert "security" not in schema


async def test_a_preflight_needs_no_key_and_an_error_can_be_read(
    serve: Serve, keys: Path
) -> None:
    origin = "https://notes.example"
    server = await serve(http_port=0, api_keys=keys, http_origins=origin)
    preflight = await request(
        server,
        "OPTIONS",
        TRANSCRIPTIONS,
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers="authorization",
    )
    assert preflight.status == 200
    refused = await request(server, "GET", "/v1/models", origin=origin)
    assert_refused(refused)
    assert refused.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize("name", ["authorization", "api_key", "x_api_key"])
async def test_three_headers_are_accepted(server: Server, name: str) -> None:
    value = bearer(KEY) if name == "authorization" else KEY
    assert (await request(server, "GET", "/v1/models", None, **{name: value})).status == 200


async def test_a_key_in_the_url_is_refused(server: Server) -> None:
    reply = await request(server, "GET", f"/v1/models?api_key={KEY}")
    assert_refused(reply, 400, "invalid_request")
    assert "must not be in the URL" in reply.error["message"]


async def test_two_authorization_headers_are_refused(server: Server) -> None:
    async with peer(f"tcp://{address(server)}") as connection:
        twice = f"Authorization: Bearer {KEY}\r\n" * 2
        connection.send(f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{twice}\r\n".encode())
        assert_refused(await response(connection), 400, "invalid_request")


@pytest.mark.parametrize("size", [9_000, 100_000])
async def test_a_huge_key_is_refused(server: Server, size: int) -> None:
    async with peer(f"tcp://{address(server)}") as connection:
        connection.send(head("GET", "/v1/models", authorization=bearer("a" * size)))
        top = await connection.until(b"\r\n")
    assert top.split()[1] in (b"401", b"400", b"431")
    assert (await request(server, "GET", "/v1/models", authorization=bearer(KEY))).status == 200


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_a_request_is_refused_before_its_body_is_sent(server: Server, key: str) -> None:
    """The client sends only the headers, and waits."""
    async with peer(f"tcp://{address(server)}") as connection:
        sent = {"content_type": FORM, "authorization": bearer(key)}
        connection.send(head("POST", TRANSCRIPTIONS, length=10_000_000, **sent))
        top = await connection.until(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 401")


async def test_the_scope_is_checked_before_the_body_is_sent(server: Server) -> None:
    async with peer(f"tcp://{address(server)}") as connection:
        sent = {"content_type": FORM, "authorization": bearer(REALTIME_ONLY)}
        connection.send(head("POST", TRANSCRIPTIONS, length=10_000_000, **sent))
        top = await connection.until(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 403")
    assert b'error="insufficient_scope"' in top
    assert b'scope="stt:transcribe"' in top


async def test_the_limits_of_a_client_are_those_of_its_key_not_of_its_address(
    serve: Serve, keys: Path
) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, api_keys=keys, max_files=1)
    body = form(file=wav(tone(1.0)))
    first = asyncio.create_task(post(server, TRANSCRIPTIONS, body, authorization=bearer(KEY)))
    await until(lambda: bool(server.service.statistics().worker.decoding))
    other_address = await post(
        server, TRANSCRIPTIONS, body, source="127.0.0.2", authorization=bearer(KEY)
    )
    assert other_address.status == 429
    other = asyncio.create_task(
        post(server, TRANSCRIPTIONS, body, authorization=bearer(FILES_ONLY))
    )
    await until(lambda: server.waiting > 0)
    engine.release()
    assert [(await first).status, (await other).status] == [200, 200]


async def test_a_job_belongs_to_a_key(server: Server) -> None:
    body = form([("background", "true")], wav(tone(1.0)))
    made = await post(server, TRANSCRIPTIONS, body, authorization=bearer(KEY))
    path = f"{TRANSCRIPTIONS}/{made.json['id']}"
    mine = await request(server, "GET", path, source="127.0.0.2", authorization=bearer(KEY))
    assert mine.status == 200
    assert (await request(server, "GET", path, authorization=bearer(FILES_ONLY))).status == 404


def page_protocols(key: str) -> list[Subprotocol]:
    return [Subprotocol("speech"), Subprotocol(f"openai-insecure-api-key.{key}")]


async def test_the_page_s_websocket_needs_a_key(server: Server) -> None:
    for protocols, status in ((None, 401), (page_protocols("wrong"), 401)):
        with pytest.raises(InvalidStatus) as refused:
            async with browser(server, protocols=protocols):
                pass
        assert refused.value.response.status_code == status
        error = json.loads(refused.value.response.body)["error"]
        assert error["code"] == "invalid_api_key"
    with pytest.raises(InvalidStatus) as refused:
        async with browser(server, protocols=page_protocols(FILES_ONLY)):
            pass
    assert refused.value.response.status_code == 403


async def test_the_page_offers_its_key_as_a_protocol(server: Server) -> None:
    async with browser(server, protocols=page_protocols(KEY)) as client:
        assert client.connection.subprotocol == "speech", "never the one with the key"
        await client.say(tone(1.0))
        assert await client.final() == "1.0 seconds"


async def test_other_clients_of_the_websocket_send_a_header(server: Server) -> None:
    url = f"ws://{address(server)}/speech"
    headers = {"Origin": str(server.service.http_url), "Authorization": bearer(KEY)}
    async with connect(url, additional_headers=headers, proxy=None) as connection:
        await connection.send('{"type": "start", "rate": 16000}')


async def test_an_open_websocket_ends_when_its_key_is_deleted(server: Server, keys: Path) -> None:
    async with (
        browser(server, protocols=page_protocols(KEY)) as ends,
        browser(server, protocols=page_protocols(REALTIME_ONLY)) as stays,
    ):
        await ends.start()
        await ends.hear(tone(0.5))
        remaining = KEYS.replace(f"alice {KEY}\n", "")
        await asyncio.to_thread(write_keys, keys, remaining)
        async with asyncio.timeout(DEADLINE):
            while (message := await ends.receive())["type"] == "partial":
                pass
            assert (message["type"], message["code"]) == ("error", "unauthenticated")
            assert message["text"] == "this key is no longer valid"
            assert await ends.closed() == 4001
        await stays.say(tone(1.0))
        assert await stays.final() == "1.0 seconds"
    await until(lambda: server.browsers == 0)
    assert server.memory.used == 0
    assert_refused(await request(server, "GET", "/v1/models", authorization=bearer(KEY)))


async def test_a_refusal_is_logged_and_counted_without_the_key(
    serve: Serve, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0, metrics_port=0, api_keys=keys)
    for _ in range(20):
        await request(server, "GET", "/v1/models", authorization=bearer("s3cret-s3cret-s3cret"))
    lines = [one for one in caplog.records if "authentication refused" in one.getMessage()]
    assert 1 <= len(lines) < 10, "one line a second"
    assert "authentication refused: 127.0.0.1, unknown_key (1 refusal)" in caplog.text
    entry = json.loads(JsonFormatter().format(lines[0]))
    assert entry["event"] == "authentication_refused"
    assert (entry["reason"], entry["address"]) == ("unknown_key", "127.0.0.1")
    await request(server, "POST", TRANSCRIPTIONS, None, authorization=bearer(REALTIME_ONLY))
    metrics = await request_metrics(server)
    assert f'{REFUSED}{{reason="unknown_key"}} 20.0' in metrics
    assert f'{REFUSED}{{reason="scope"}} 1.0' in metrics
    for secret in ("s3cret", KEY, REALTIME_ONLY):
        assert secret not in metrics
        assert secret not in caplog.text


async def request_metrics(server: Server) -> str:
    assert server.service.metrics_url is not None
    async with peer(server.service.metrics_url.replace("http", "tcp")) as connection:
        connection.send(head("GET", "/metrics"))
        return (await response(connection)).body.decode()


async def test_the_log_names_the_client_not_its_address(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await post(server, TRANSCRIPTIONS, form(file=b"noise"), authorization=bearer(KEY))
    assert any("; alice: " in one.getMessage() for one in caplog.records)


async def test_the_wyoming_port_and_the_metrics_need_no_key(serve: Serve, keys: Path) -> None:
    server = await serve(http_port=0, metrics_port=0, api_keys=keys)
    await server.serves()
    assert "wyoming_stt_model_ready 1.0" in await request_metrics(server)


async def test_a_file_of_keys_that_others_can_read_stops_the_start(
    serve: Serve, keys: Path
) -> None:
    await asyncio.to_thread(keys.chmod, 0o644)
    with pytest.raises(SettingError, match="run chmod 600"):
        await serve(http_port=0, api_keys=keys)


async def test_without_the_option_any_key_will_do(serve: Serve) -> None:
    server = await serve(http_port=0)
    assert (await request(server, "GET", "/v1/models?api_key=x")).status == 200
    assert (await request(server, "GET", "/v1/models", authorization=bearer("any"))).status == 200


async def test_a_client_that_leaves_closes_its_websocket(server: Server) -> None:
    async with browser(server, protocols=page_protocols(KEY)) as client:
        await client.start()
        await until(lambda: server.browsers == 1)
    await until(lambda: server.browsers == 0)
