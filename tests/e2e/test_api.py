"""The OpenAI-compatible API: transcription of files, models, errors, access."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import openai as sdk
import pytest
import trustme
from openai import DefaultAsyncHttpxClient

from tests.support.api import early_response, form, head, openai, post, request, wav
from tests.support.media import write_media
from tests.support.serving import peer, until, warnings
from tests.support.web import address
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing import FakeEngine, silence, tone
from wyoming_faster_whisper.transports.http.files.form import ResponseFormat

from .conftest import Serve
from .test_access import own_address

PATH = "/v1/audio/transcriptions"
TWO_PARTS = np.concatenate([tone(5.0), silence(6.0), tone(1.0)])
MODEL = [("model", "whisper-1")]


async def test_a_file_is_transcribed(serve: Serve) -> None:
    async with openai(await serve(http_port=0)) as client:
        answer = await client.audio.transcriptions.create(model="whisper-1", file=wav(tone(1.0)))
        assert answer.text == "1.0 seconds"
        assert answer.usage is not None
        assert answer.usage.type == "duration"


async def test_the_api_is_served_over_tls(
    serve: Serve, authority: trustme.CA, certificates: Path
) -> None:
    files: dict[str, Any] = {
        "tls_cert": str(certificates / "server.pem"),
        "tls_key": str(certificates / "server.key"),
    }
    server = await serve(http_port=0, **files)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with openai(server, http_client=DefaultAsyncHttpxClient(verify=trusting)) as client:
        answer = await client.audio.transcriptions.create(model="whisper-1", file=wav(tone(1.0)))
    assert answer.text == "1.0 seconds"


async def test_a_client_outside_the_allowed_networks_is_dropped(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    outside = await asyncio.to_thread(own_address)
    server = await serve(http_port=0, allow="203.0.113.0/24")
    async with peer(f"tcp://{address(server)}", source=outside) as connection:
        connection.send(head("GET", "/v1/models"))
        with contextlib.suppress(ConnectionResetError):
            assert await connection.rest() == b""
    assert any("--allow" in line for line in warnings(caplog))


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg", ".m4a", ".mp4", ".webm"])
async def test_any_container_is_taken_whatever_its_name(
    serve: Serve, suffix: str, tmp_path: Path
) -> None:
    server = await serve(FakeEngine(lambda _: "heard"), http_port=0)
    path = await asyncio.to_thread(write_media, tmp_path / f"a{suffix}", tone(1.0))
    data = await asyncio.to_thread(path.read_bytes)
    reply = await post(server, PATH, form(MODEL, data, filename="wrong.xyz"))
    assert reply.json["text"] == "heard"


async def test_a_stream_sends_committed_text_and_then_all_of_it(serve: Serve) -> None:
    async with openai(await serve(http_port=0)) as client:
        stream = await client.audio.transcriptions.create(
            model="whisper-1", file=wav(TWO_PARTS), stream=True
        )
        events = [event async for event in stream]
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) == 2
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == "".join(deltas)


async def test_an_error_inside_a_stream_ends_it(serve: Serve) -> None:
    def fail_the_short_part(job: Job) -> str:
        if job.seconds < 3:
            raise RuntimeError("broken")
        return "first"

    engine = FakeEngine(fail_the_short_part)
    async with openai(await serve(engine, http_port=0)) as client:
        stream = await client.audio.transcriptions.create(
            model="whisper-1", file=wav(TWO_PARTS), stream=True
        )
        assert (await anext(stream)).type == "transcript.text.delta"
        with pytest.raises(sdk.APIError, match="the model failed"):
            await anext(stream)


async def test_translations_are_asked_for_in_english(serve: Serve) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    await post(server, "/v1/audio/translations", form(MODEL, wav(tone(1.0))))
    assert engine.decoded[-1].options.task == "translate"


async def test_the_models_are_listed_and_described(serve: Serve) -> None:
    async with openai(await serve(http_port=0)) as client:
        assert [model.id async for model in client.models.list()] == ["base", "whisper-1"]
        for name in ("base", "whisper-1", "Systran/faster-whisper-base"):
            assert (await client.models.retrieve(name)).id == name
        with pytest.raises(sdk.NotFoundError) as refused:
            await client.models.retrieve("gpt-5")
        assert refused.value.code == "model_not_found"


async def test_an_unknown_model_is_refused_with_the_names_of_those_there_are(
    serve: Serve,
) -> None:
    async with openai(await serve(http_port=0)) as client:
        with pytest.raises(sdk.NotFoundError, match="this server has base"):
            await client.audio.transcriptions.create(model="parakeet", file=wav(tone(1.0)))


async def test_any_model_name_is_served_if_the_operator_says_so(serve: Serve) -> None:
    async with openai(await serve(http_port=0, any_model=True)) as client:
        answer = await client.audio.transcriptions.create(model="parakeet", file=wav(tone(1.0)))
        assert answer.text == "1.0 seconds"


@pytest.mark.parametrize("path", ["/audio/transcriptions", "/openai/v1/audio/transcriptions"])
async def test_the_path_may_have_other_prefixes(serve: Serve, path: str) -> None:
    assert (await post(await serve(http_port=0), path, form([], wav(tone(1.0))))).status == 200


async def test_a_doubled_path_is_explained(serve: Serve) -> None:
    reply = await post(await serve(http_port=0), f"{PATH}/audio/transcriptions", form())
    assert reply.status == 404
    assert "twice" in reply.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", PATH, 405), ("PUT", "/v1/models", 405)],
)
async def test_a_wrong_route_gets_an_error_object(
    serve: Serve, method: str, path: str, status: int
) -> None:
    reply = await request(await serve(http_port=0), method, path)
    assert reply.status == status
    assert reply.error["type"] == "invalid_request_error"


async def test_each_response_has_an_id_and_its_processing_time(serve: Serve) -> None:
    server = await serve(http_port=0)
    replies = [await request(server, "GET", path) for path in ("/v1/models", "/v1/nothing")]
    assert all(reply.headers["x-request-id"].startswith("req_") for reply in replies)
    assert all(int(reply.headers["openai-processing-ms"]) >= 0 for reply in replies)


async def test_a_body_over_the_limit_is_refused_by_its_announced_length(serve: Serve) -> None:
    server = await serve(http_port=0, max_upload=1)
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        connection.send(head("POST", PATH, length=2 << 20, content_type=kind))
        reply = await early_response(connection)
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


async def test_a_body_over_the_limit_is_refused_while_it_arrives(serve: Serve) -> None:
    server = await serve(http_port=0, max_upload=1)
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        body = form(MODEL, bytes(2 << 20))
        connection.send(
            head("POST", PATH, content_type=kind, transfer_encoding="chunked")
            + f"{len(body):x}\r\n".encode()
            + body
        )
        reply = await early_response(connection)
    assert reply.status == 413


async def test_one_client_has_a_limited_number_of_files(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, max_files=1)
    body = form(MODEL, wav(tone(1.0)))
    first = asyncio.create_task(post(server, PATH, body))
    await asyncio.to_thread(engine.decoding.wait)
    refused = await post(server, PATH, body)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    engine.release()
    assert (await first).status == 200
    assert (await post(server, PATH, body)).status == 200


async def test_all_clients_together_have_a_limited_number_of_files(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, max_total_files=2)
    body = form(MODEL, wav(tone(1.0)))
    served = [
        asyncio.create_task(post(server, PATH, body, source=source))
        for source in ("127.0.0.2", "127.0.0.3")
    ]
    await until(lambda: server.service.statistics().worker.decoding + server.waiting == 2)
    refused = await post(server, PATH, body, source="127.0.0.4")
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert "--max-total-files" in refused.error["message"]
    assert int(refused.headers["retry-after"]) >= 1
    engine.release()
    assert [(await one).status for one in served] == [200, 200]
    assert (await post(server, PATH, body, source="127.0.0.4")).status == 200


async def test_a_client_that_leaves_withdraws_its_file(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    body = form(MODEL, wav(TWO_PARTS))
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        connection.send(head("POST", PATH, length=len(body), content_type=kind) + body)
        await asyncio.to_thread(engine.decoding.wait)
    await until(lambda: "requests abandoned" in caplog.text)
    engine.release()
    await server.serves()
    assert [round(job.seconds) for job in engine.decoded if job.seconds < 2] == [1]


async def test_a_page_of_another_site_may_not_use_the_api(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    reply = await post(server, PATH, form(MODEL, wav(tone(1.0))), origin="http://evil.example")
    assert (reply.status, reply.error["code"]) == (403, "origin_not_allowed")
    assert any("evil.example" in line for line in warnings(caplog))


@pytest.mark.parametrize("allowed", ["app://obsidian.md", "app://obsidian.md/"])
async def test_an_allowed_origin_may_use_the_api_after_a_preflight(
    serve: Serve, allowed: str
) -> None:
    server = await serve(http_port=0, http_origins=allowed)
    preflight = await request(
        server,
        "OPTIONS",
        PATH,
        origin="app://obsidian.md",
        access_control_request_method="POST",
        access_control_request_headers="authorization, x-stainless-os",
    )
    assert preflight.status == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    reply = await post(server, PATH, form(MODEL, wav(tone(1.0))), origin="app://obsidian.md")
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == "app://obsidian.md"


async def test_health_tells_whether_the_model_is_loaded(serve: Serve) -> None:
    server = await serve(http_port=0)
    await server.serves()
    assert (await request(server, "GET", "/health")).json == {"status": "ok"}


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
async def test_the_documentation_finds_its_files(serve: Serve, path: str) -> None:
    server = await serve(http_port=0)
    page = (await request(server, "GET", path)).body.decode()
    found = re.findall(r"""(?:href|src)="([^"]+)"|url: '([^']+)'""", page)
    links = {urljoin(path, one or other) for one, other in found}
    assert len(links) == 4
    for link in links:
        assert (await request(server, "GET", link)).status == 200


async def test_the_documentation_loads_nothing_from_other_hosts(serve: Serve) -> None:
    server = await serve(http_port=0)
    page = (await request(server, "GET", "/docs")).body.decode()
    assert "cdn" not in page
    assert '"swagger/swagger-ui-bundle.js"' in page
    assert (await request(server, "GET", "/swagger/swagger-ui-bundle.js")).status == 200
    described = (await request(server, "GET", "/openapi.json")).json
    assert PATH in described["paths"]
    assert all(not path.startswith("/audio") for path in described["paths"])


async def test_a_stopping_server_lets_a_file_end(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    posted = asyncio.create_task(post(server, PATH, form(MODEL, wav(tone(1.0)))))
    await asyncio.to_thread(engine.decoding.wait)
    closing = asyncio.create_task(server.service.close())
    engine.release()
    assert (await posted).status == 200
    await closing


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"", "empty"),
        (b"hello, this is not audio at all", "audio"),
        (bytes(1 << 20), "audio"),
    ],
)
async def test_a_file_that_is_not_audio_is_the_fault_of_the_client(
    serve: Serve, file: bytes, says: str
) -> None:
    reply = await post(await serve(http_port=0), PATH, form(MODEL, file))
    assert reply.status == 400
    assert reply.error["param"] == "file"
    assert says in reply.error["message"]


async def test_a_form_without_a_file_is_refused(serve: Serve) -> None:
    reply = await post(await serve(http_port=0), PATH, form(MODEL, None))
    assert (reply.status, reply.error["param"]) == (400, "file")


async def test_internal_errors_are_logged_and_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    server = await serve(FakeEngine(lambda _: str(1 / 0)), http_port=0)
    reply = await post(server, PATH, form(MODEL, wav(tone(1.0))))
    assert reply.status == 500
    assert reply.error["type"] == "server_error"


@pytest.mark.parametrize(
    "path", ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/asr"]
)
async def test_the_description_has_all_types_of_answers(serve: Serve, path: str) -> None:
    described = (await request(await serve(http_port=0), "GET", "/openapi.json")).json
    types = set(described["paths"][path]["post"]["responses"]["200"]["content"])
    assert {"application/json", "text/plain", "text/vtt", "text/event-stream"} <= types


async def test_the_description_has_all_formats(serve: Serve) -> None:
    described = (await request(await serve(http_port=0), "GET", "/openapi.json")).json
    [body] = described["paths"][PATH]["post"]["requestBody"]["content"].values()
    assert set(body["schema"]["properties"]["response_format"]["enum"]) == set(ResponseFormat)
