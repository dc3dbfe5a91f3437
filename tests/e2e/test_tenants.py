"""Tenants on every transport: what they may use, and how they are kept apart."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from websockets import Subprotocol

from tests.support.api import Reply, form, post, request, wav
from tests.support.auth import bearer
from tests.support.realtime import Talker, talker
from tests.support.serving import DEADLINE, Peer, Server, peer, recording, until, warnings
from tests.support.web import address, browser
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.transports.tls import client_context
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve

GUEST, ARCHIVE, OWNER = (f"{name}-0123456789abcdef" for name in ("guest", "archive", "owner"))
KEYS = f"guest {GUEST}\narchive {ARCHIVE}\nowner {OWNER}\n"
TENANTS = """
[tenants.guests]
keys = ["guest"]
networks = ["127.0.0.2/32"]
certificates = ["panel.local"]
models = ["tiny.en"]
prompt = "A hotel."
vocabulary = ["Krabat"]

[tenants.archive]
keys = ["archive"]
languages = ["de", "fr"]
vocabulary = ["Kolář"]
priority = "batch"
"""
FILES = "/v1/audio/transcriptions"
SECOND = tone(1.0)
GUESTS = "guests tiny.en en A hotel. Krabat"
HOUSE = "house base None None "


def told(job: Job) -> str:
    """Return what the engine is told about a job."""
    options = job.options
    names = ",".join(options.hotwords)
    return f"{job.tenant.name} {options.model} {options.language} {options.prompt} {names}"


async def first_text(client: Talker) -> str:
    """Return the text of a first utterance over the realtime API."""
    await client.receive("session.created")
    await client.configure(turn_detection=None)
    await client.append(tone(1.0, rate=24_000))
    await client.commit()
    return await client.transcript()


@pytest.fixture
def tenants(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.toml"
    path.write_text(TENANTS)
    return path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(KEYS)
    path.chmod(0o600)
    return path


@pytest.fixture
async def server(serve: Serve, tenants: Path, keys: Path) -> Server:
    return await serve(
        FakeEngine(told), tenants=tenants, api_keys=keys, http_port=0, model=["base", "tiny.en"]
    )


def write(path: Path, text: str) -> None:
    """Replace a file at once, as editors and Kubernetes do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def guests_have(line: str) -> str:
    return TENANTS.replace("[tenants.archive]", f"{line}\n[tenants.archive]")


async def replaced(server: Server, tenants: Path, text: str) -> None:
    """Replace the file of tenants, and wait until it has been read."""
    directory = server.service._tenants.directory

    await asyncio.to_thread(write, tenants, text)
    await until(lambda: server.service._tenants.directory is not directory)


async def said(connection: Peer) -> str:
    """Say something; return the text, or the error."""
    for event in recording(pcm16(SECOND), PcmFormat(), chunk=32_000):
        connection.send(write_event(event))
    event = await connection.receive()
    return str(event.data["text"])


async def transcribed(server: Server, key: str, *fields: tuple[str, str]) -> Reply:
    """Transcribe a file over HTTP."""
    given = [("model", "whisper-1"), *fields]
    return await post(server, FILES, form(given, wav(SECOND)), authorization=bearer(key))


async def models(server: Server, key: str) -> set[str]:
    reply = await request(server, "GET", "/v1/models", authorization=bearer(key))
    return {model["id"] for model in reply.json["data"]}


def names(event: dict[str, list[dict[str, Sequence[dict[str, str]]]]]) -> list[str]:
    return [model["name"] for model in event["asr"][0]["models"]]


async def test_wyoming_clients_belong_to_the_tenant_of_their_network(server: Server) -> None:
    async with peer(server.uri, source="127.0.0.2") as guest, peer(server.uri) as owner:
        assert await said(guest) == GUESTS
        assert await said(owner) == HOUSE
        describe = b'{"type": "describe"}\n'
        assert names((await guest.send(describe).receive()).data) == ["tiny.en"]
        assert names((await owner.send(describe).receive()).data) == ["base", "tiny.en"]


async def test_a_file_is_transcribed_as_its_tenant_wants(server: Server) -> None:
    assert (await transcribed(server, GUEST)).json["text"] == GUESTS
    assert (await transcribed(server, OWNER)).json["text"] == HOUSE
    assert (await transcribed(server, ARCHIVE, ("language", "fr"))).json["text"] == (
        "archive base fr None Kolář"
    )


async def test_errors_and_lists_name_only_what_the_tenant_may_use(server: Server) -> None:
    assert await models(server, GUEST) == {"tiny.en", "whisper-1"}
    assert await models(server, OWNER) == {"base", "tiny.en", "whisper-1"}
    for model in ("nope", "base"):
        body = form([("model", model)], wav(SECOND))
        reply = await post(server, FILES, body, authorization=bearer(GUEST))
        if model == "nope":
            assert reply.status == 404
            assert "this server has tiny.en, and" in reply.error["message"]
    # The name of a Whisper model is an alias of the default one, as at every server.
    assert reply.json["text"] == GUESTS
    wrong = await transcribed(server, ARCHIVE, ("language", "ja"))
    assert (wrong.status, wrong.error["code"]) == (400, "unsupported_language")
    assert "it supports de, fr" in wrong.error["message"]
    about = await request(server, "GET", "/about", authorization=bearer(GUEST))
    assert (about.json["model"], about.json["languages"]) == ("tiny.en", ["en"])


async def test_the_realtime_api_and_the_page_know_the_tenant(server: Server) -> None:
    url = f"{server.service.http_url}/v1"
    async with talker(url, authorization=bearer(GUEST)) as client:
        assert await first_text(client) == GUESTS
    offered = [Subprotocol("speech"), Subprotocol(f"openai-insecure-api-key.{GUEST}")]
    async with browser(server, protocols=offered) as page:
        await page.say(SECOND)
        assert await page.final() == GUESTS


async def test_a_client_secret_has_the_tenant_of_its_maker(server: Server) -> None:
    where = "/v1/realtime/client_secrets"
    made = await request(server, "POST", where, b"{}", authorization=bearer(GUEST))
    wanted = json.dumps({"session": {"audio": {"input": {"transcription": {"model": "nope"}}}}})
    refused = await request(server, "POST", where, wanted.encode(), authorization=bearer(GUEST))
    assert "base" not in refused.error["message"]
    url, secret = f"{server.service.http_url}/v1", made.json["value"]
    protocols = ["realtime", f"openai-insecure-api-key.{secret}"]
    async with talker(url, protocols=protocols) as client:
        assert await first_text(client) == GUESTS


async def test_a_job_is_found_by_its_client_only(server: Server) -> None:
    body = form([("model", "whisper-1"), ("background", "true")], wav(SECOND))
    made = (await post(server, FILES, body, authorization=bearer(GUEST))).json["id"]
    own = await request(server, "GET", f"{FILES}/{made}", authorization=bearer(GUEST))
    assert own.status == 200
    guess = f"{made[:-1]}{'0' if made[-1] != '0' else '1'}"
    answers = set()
    for identity in (made, guess):
        for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
            where = f"{FILES}/{identity}{path}"
            reply = await request(server, method, where, authorization=bearer(ARCHIVE))
            message = reply.error["message"].replace(identity, "ID")
            answers.add((reply.status, reply.error["code"], message))
    assert len(answers) == 1, "it does not tell whether another client has such a job"
    assert {status for status, _, _ in answers} == {404}


async def test_certificates_lead_to_tenants_over_wyoming_and_http(
    serve: Serve, tenants: Path, certificates: Path
) -> None:
    write(tenants, TENANTS.replace("panel.local", "kitchen.local"))
    server = await serve(
        FakeEngine(told),
        tenants=tenants,
        http_port=0,
        model=["base", "tiny.en"],
        tls_cert=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_ca=certificates / "ca.pem",
    )
    own = [str(certificates / f"client.{part}") for part in ("pem", "key")]
    context = await asyncio.to_thread(client_context, str(certificates / "ca.pem"), *own)
    at = server.service.address
    reader, writer = await asyncio.open_connection(at.host, at.port, ssl=context)
    assert await said(Peer(reader, writer)) == GUESTS
    writer.close()
    body = form([("model", "whisper-1")], wav(SECOND))
    assert f'"text":"{GUESTS}"'.encode() in await over_tls(server, context, body)


async def over_tls(server: Server, context: ssl.SSLContext, body: bytes) -> bytes:
    """Post a form over TLS; return the response."""
    host, _, port = address(server).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    head = (
        f"POST {FILES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=boundary\r\n\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(DEADLINE):
        answer = await reader.read()
    writer.close()
    return answer


async def test_requests_at_the_same_time_are_counted_over_all_transports(
    serve: Serve, tenants: Path, keys: Path
) -> None:
    write(tenants, guests_have("requests = 1"))
    engine = FakeEngine(told, held=True)
    server = await serve(
        engine, tenants=tenants, api_keys=keys, http_port=0, model=["base", "tiny.en"]
    )
    async with peer(server.uri, source="127.0.0.2") as guest:
        for event in recording(pcm16(SECOND), PcmFormat(), chunk=32_000):
            guest.send(write_event(event))
        await until(lambda: engine.decoding.is_set())
        refused = await transcribed(server, GUEST)
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert refused.error["message"].startswith("1 request in progress already")
        async with peer(server.uri, source="127.0.0.2") as second:
            assert (await said(second)).startswith("1 request in progress already")
        other = asyncio.create_task(transcribed(server, OWNER))
        await until(lambda: server.waiting == 1)
        engine.release()
        assert (await guest.receive()).data["text"] == GUESTS
        assert (await other).json["text"] == HOUSE
    assert (await transcribed(server, GUEST)).json["text"] == GUESTS


async def test_audio_a_minute_is_counted_over_all_transports(
    serve: Serve, tenants: Path, keys: Path
) -> None:
    write(tenants, guests_have("audio_per_minute = 1"))
    server = await serve(
        FakeEngine(told), tenants=tenants, api_keys=keys, http_port=0, model=["base", "tiny.en"]
    )
    async with peer(server.uri, source="127.0.0.2") as guest:
        assert await said(guest) == GUESTS
        assert (await said(guest)).startswith("1 s of audio a minute are used up; try again in")
    refused = await transcribed(server, GUEST)
    assert refused.status == 429
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert (await transcribed(server, OWNER)).status == 200


async def test_the_number_of_jobs_is_limited(serve: Serve, tenants: Path, keys: Path) -> None:
    write(tenants, guests_have("jobs = 1"))
    server = await serve(
        FakeEngine(told), tenants=tenants, api_keys=keys, http_port=0, model=["base", "tiny.en"]
    )
    background = ("background", "true")
    assert (await transcribed(server, GUEST, background)).status == 202
    refused = await transcribed(server, GUEST, background)
    assert refused.status == 429
    assert "no more than 1 job may be kept" in refused.error["message"]
    assert (await transcribed(server, OWNER, background)).status == 202


async def test_a_wrong_file_at_the_start_is_an_error(serve: Serve, tenants: Path) -> None:
    write(tenants, '[tenants.guests]\nmodels = ["large"]')
    with pytest.raises(
        SettingError, match=r"tenants.toml: \[tenants.guests\] models has 'large'"
    ):
        await serve(tenants=tenants)


async def test_tenants_that_no_client_can_match_are_named_at_the_start(
    serve: Serve, tenants: Path, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(keys.write_text, f"guest {GUEST}\n")
    write(tenants, f'{TENANTS}[tenants.den]\nsites = ["den", "hall"]\n')
    await serve(
        tenants=tenants,
        api_keys=keys,
        http_port=0,
        model=["base", "tiny.en"],
        mqtt_url="mqtt://127.0.0.1:9",
        mqtt_sites="hall",
    )
    about = f"--tenants {tenants}: no client matches"
    assert [line for line in warnings(caplog) if line.startswith(about)] == [
        f"{about} certificates of [tenants.guests]; that requires --tls-ca",
        f"{about} keys 'archive' of [tenants.archive]; --api-keys has no such name",
        f"{about} sites 'den' of [tenants.den]; --mqtt-sites has no such name",
    ]


async def test_a_file_that_becomes_wrong_changes_nothing_and_is_logged_once(
    server: Server, tenants: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(write, tenants, "[tenants.guests]\nrequests = 'two'")
    await until(lambda: bool(warnings(caplog)))
    [line] = warnings(caplog)
    assert "[tenants.guests] requests is 'two'; it must be a whole number; the" in line
    assert (await transcribed(server, GUEST)).json["text"] == GUESTS
    await replaced(server, tenants, TENANTS.replace("Krabat", "Lobosch"))
    assert (await transcribed(server, GUEST)).json["text"].endswith(" Lobosch")


async def test_a_websocket_outlives_its_tenant_and_belongs_to_the_house_then(
    server: Server, tenants: Path
) -> None:
    url = f"{server.service.http_url}/v1"
    async with talker(url, authorization=bearer(GUEST)) as client:
        assert await first_text(client) == GUESTS
        await replaced(server, tenants, TENANTS.replace('keys = ["guest"]', "keys = []"))
        # Audio that has arrived by now would still belong to the turn before.
        await client.append(tone(1.0, rate=24_000))
        await client.commit()
        await client.append(tone(1.0, rate=24_000))
        await client.commit()
        assert (await client.transcript()).split()[0] in ("guests", "house")
        assert (await client.transcript()).split()[0] == "house"
    await until(lambda: server.browsers == 0)
    assert server.memory.used == 0


async def test_the_log_has_the_name_of_the_tenant_and_text_only_if_it_may(
    serve: Serve, tenants: Path, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await serve(
        FakeEngine(told),
        tenants=tenants,
        api_keys=keys,
        http_port=0,
        model=["base", "tiny.en"],
        log_text=True,
    )
    await transcribed(server, ARCHIVE)
    await transcribed(server, OWNER)
    [archive, house] = [
        record for record in caplog.records if record.name == "wyoming_faster_whisper.utterance"
    ]
    assert archive.getMessage().startswith("archive: heard 1.0 s")
    assert "Kolář" not in archive.getMessage()
    assert house.getMessage().startswith("owner: heard 1.0 s")
    assert house.getMessage().endswith(f": {HOUSE!r}")
    fields = [record.__dict__["fields"] for record in (archive, house)]
    assert [each["tenant"] for each in fields] == ["archive", "house"]
    assert "text" not in fields[0]
