"""The engine for decode servers against real sockets: good servers and hostile ones."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.support.decode_servers import Client, HostileServer, LateServer, OtherServer, connected
from tests.support.serving import until, warnings
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.recognizer import Capabilities, ServedModel
from wyoming_faster_whisper.engine.remote.decode_servers import DecodeServer as Known
from wyoming_faster_whisper.engine.remote.fallback import FallbackEngine
from wyoming_faster_whisper.engine.remote.inference_client import (
    Access,
    InferenceClient,
    RemoteModel,
)
from wyoming_faster_whisper.errors import Busy, EngineError, ServerError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, tone
from wyoming_faster_whisper.testing.decode_server import DecodeServer

pytestmark = pytest.mark.timeout(20)

ENGLISH = DecodeOptions(language="en")
JOB = Job(tone(1.0), ENGLISH)
GUESS = Job(tone(1.0), ENGLISH, kind=DecodeKind.GUESS)
TEXT = "1.0 seconds"
ENGLISH_MODEL = ServedModel("tiny.en", ("en",))


async def failure(client: Client, job: Job | None = None) -> ServerError:
    """Return the error of a decode, which must be one short printable sentence."""
    with pytest.raises(ServerError) as raised:
        await client.decode(job or Job(tone(1.0), ENGLISH))
    assert isinstance(raised.value, (EngineError, Busy))
    said = str(raised.value)
    assert said.isprintable()
    assert len(said) < 400
    return raised.value


async def test_a_job_is_decoded_with_its_options() -> None:
    engine = FakeEngine()
    options = DecodeOptions(language="de", hotwords=("Nanit",), word_times=True, prompt="Küche")
    job = Job(tone(1.5), options, prefix="turn", speech=((0, 5),), quick=True, owner="kitchen")
    async with DecodeServer(engine) as server, connected(server.url) as client:
        assert await client.decode(job) == Transcript("1.5 seconds", "de")
    [decoded] = engine.decoded
    assert (decoded.options, decoded.prefix) == (options, "turn")
    assert (decoded.speech, decoded.quick) == (((0, 5),), True)


async def test_jobs_of_several_clients_share_a_batch() -> None:
    engine = FakeEngine(held=True, max_batch=4)
    async with DecodeServer(engine) as server, connected(server.url) as client:
        first = asyncio.create_task(client.decode(JOB))
        await until(engine.decoding.is_set)
        more = [asyncio.create_task(client.decode(Job(tone(1.0), ENGLISH))) for _ in range(3)]
        await until(lambda: server.model.statistics().waiting == 3)
        engine.release()
        assert {(await each).text for each in (first, *more)} == {TEXT}
        assert server.model.statistics().batches == {1: 1, 3: 1}


async def test_a_withdrawn_job_is_withdrawn_on_the_server() -> None:
    engine = FakeEngine(held=True)
    withdrawn = Job(tone(1.0), ENGLISH)
    async with DecodeServer(engine) as server, connected(server.url) as client:
        first = asyncio.create_task(client.decode(JOB))
        await until(engine.decoding.is_set)
        second = asyncio.create_task(client.decode(withdrawn))
        await until(lambda: server.model.statistics().waiting == 1)
        client.engine.withdraw(withdrawn)
        with pytest.raises(EngineError, match="withdrawn"):
            await second
        await until(lambda: server.model.statistics().withdrawn == 1)
        engine.release()
        assert (await first).text == TEXT


async def test_a_full_queue_is_busy() -> None:
    engine = FakeEngine(held=True)
    async with DecodeServer(engine, max_waiting=1) as server, connected(server.url) as client:
        running = [asyncio.create_task(client.decode(JOB))]
        await until(engine.decoding.is_set)
        running.append(asyncio.create_task(client.decode(Job(tone(1.0), ENGLISH))))
        await until(lambda: server.model.statistics().waiting == 1)
        assert "the queue is full (1 job)" in str(await failure(client))
        engine.release()
        await asyncio.gather(*running)


async def test_a_file_waits_for_a_busy_server() -> None:
    engine = FakeEngine(held=True)
    files = [Job(tone(1.0), ENGLISH, kind=DecodeKind.FILE) for _ in range(3)]
    async with DecodeServer(engine, max_waiting=1) as server, connected(server.url) as client:
        running = [asyncio.create_task(client.decode(job)) for job in files]
        await until(lambda: sum("infer" in line for line in server.requests) >= 5)
        engine.release()
        assert [answer.text for answer in await asyncio.gather(*running)] == [TEXT] * 3


async def test_a_broken_connection_is_tried_again_once() -> None:
    async with (
        HostileServer(FakeEngine(), lambda response: response[:100]) as server,
        connected(server.url) as client,
    ):
        assert f"decode server {server.url}: " in str(await failure(client))
        assert server.jobs == 2
        await failure(client, GUESS)
        assert server.jobs == 3


async def test_a_failed_model_is_tried_again_once() -> None:
    def fail(job: Job) -> str:
        raise EngineError("the model failed on this audio: too cold")

    engine = FakeEngine(fail)
    async with DecodeServer(engine) as server, connected(server.url) as client:
        error = await failure(client)
        assert str(error).endswith("status 500: the model failed on this audio: too cold")
        assert len(engine.decoded) == 2


def text(replacement: bytes) -> Callable[[bytes], bytes]:
    """Replace TEXT in a response by another text; its sizes are corrected."""

    def spoil(response: bytes) -> bytes:
        head, _, body = response.partition(b"\r\n\r\n")
        [length] = re.findall(rb"header-content-length: (\d+)", head)
        described, payload = json.loads(body[: int(length)]), body[int(length) :]
        described["outputs"][0]["parameters"]["binary_data_size"] = 4 + len(replacement)
        old = 4 + int.from_bytes(payload[:4], "little")
        told = json.dumps(described).encode()
        new = told + len(replacement).to_bytes(4, "little") + replacement + payload[old:]
        head = re.sub(rb"(\r\ncontent-length: )\d+", rb"\g<1>%d" % len(new), head)
        head = re.sub(rb"(header-content-length: )\d+", rb"\g<1>%d" % len(told), head)
        return head + b"\r\n\r\n" + new

    return spoil


def whole(status: bytes, body: bytes, *headers: bytes) -> Callable[[bytes], bytes]:
    lines = (b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers)
    return lambda response: b"\r\n".join((*lines, b"", body))


@pytest.mark.parametrize(
    ("spoil", "error", "jobs"),
    [
        (lambda response: b"", "", 2),
        (lambda response: response[:-1], "", 2),  # half a tensor
        (lambda response: response.replace(b"HTTP/1.1", b"SSH-2.0"), "", 2),
        (lambda response: response.replace(b"[1, 1]", b"[1, 9]", 1), "too few for 9 elem", 1),
        (lambda response: response.replace(b'"BYTES"', b'"INT64"', 1), "'INT64', not FP32", 1),
        (
            lambda response: response.replace(b' "FP32"', b'"BYTES"', 1),
            "no output AVG_LOGPROB",
            1,
        ),
        (lambda response: response.replace(b"TEXT", b"HEXT", 1), "no output TEXT", 1),
        (
            lambda response: response.replace(b"r-content-length: ", b"r-content-length: 9", 1),
            "the body has",
            1,
        ),
        (
            lambda response: response.replace(b"r-content-length: ", b"r-content-length: -", 1),
            "the header",
            1,
        ),
        (text(b"x" * 10_000_000), "its answer has more than", 1),
        (text(b"x" * 100_000), "TEXT has 100000 characters", 1),
        (text(b"\x1b]0;owned\x07"), r"the control character U+001B", 1),
        (text(b"\xff\xfe"), "TEXT is not UTF-8", 1),
        (whole(b"200 -", b"<html>hello</html>"), "the message is not JSON", 1),
        (whole(b"200 -", b""), "the message is not JSON", 1),
        (whole(b"302 -", b"", b"location: http://localhost:1/"), "status 302", 1),
        (whole(b"404 -", b'{"error": "no \\u001b[2J model"}'), "status 404: no ?[2J model", 1),
        (whole(b"500 -", b"<html>"), "status 500", 2),
        (whole(b"503 -", b'{"error": "full"}'), "full", 1),
        (whole(b"429 -", b""), "it is busy", 1),
    ],
)
async def test_a_spoiled_answer_is_one_sentence_and_the_next_server_answers(
    spoil: Callable[[bytes], bytes], error: str, jobs: int
) -> None:
    async with (
        HostileServer(FakeEngine(), spoil) as server,
        DecodeServer(FakeEngine()) as other,
    ):
        async with connected(server.url) as client:
            raised = await failure(client)
            assert error in str(raised)
            assert isinstance(raised, Busy) == (error in ("full", "it is busy"))
            assert server.jobs == jobs
        async with connected(server.url, other.url) as client:
            assert (await client.decode(JOB)).text == TEXT
            assert server.jobs == jobs + 1


async def test_a_server_that_does_not_answer_is_one_sentence() -> None:
    async with (
        HostileServer(FakeEngine(), lambda response: None) as server,
        connected(server.url, timeout=0.1) as client,
    ):
        assert str(await failure(client)) == "no decode server answered within 0.1 s"
        assert server.jobs == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "unavailable"),
        (
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n<html",
            "is not JSON",
        ),
        (b"HTTP/1.1 404 -\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "status 404"),
        (
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 47\r\n\r\n"
            b'{"inputs": [{"name": "X", "datatype": "FP32"}]}',
            "has no FP32 tensor AUDIO in its inputs; it is not a model of this server",
        ),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"x" * 2_000_000, "more than"),
    ],
)
async def test_a_server_of_another_protocol_is_unavailable(answer: bytes, error: str) -> None:
    async with OtherServer(answer) as server, connected(server.url) as client:
        said = str(await failure(client))
        assert said.startswith(f"decode server {server.url} is unavailable: ")
        assert error in said


async def test_a_model_that_cannot_do_everything_is_unavailable() -> None:
    able = Capabilities(detects_language=True, takes_prompt=True)
    async with (
        DecodeServer(FakeEngine(), capabilities=able) as server,
        connected(server.url) as client,
    ):
        assert "model base lacks translates, takes_hotwords" in str(await failure(client))


async def test_other_languages_than_clients_were_told_are_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        DecodeServer(FakeEngine(), languages=["en"]) as server,
        connected(server.url) as client,
    ):
        [warning] = warnings(caplog)
        assert warning.endswith("than its name implies; clients were told all languages")
        german = Job(tone(1.0), DecodeOptions(language="de"))
        assert "status 400: model base cannot do this: language" in str(
            await failure(client, german)
        )


async def test_a_language_that_clients_do_not_know_is_left_out() -> None:
    async with (
        DecodeServer(FakeEngine(language="tlh")) as server,
        connected(server.url) as client,
    ):
        transcript = await client.decode(Job(tone(1.0)))
        assert (transcript.text, transcript.language) == (TEXT, None)


async def test_a_server_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = DecodeServer(FakeEngine())
    async with server:
        pass
    async with connected(server.url) as client:
        assert "is unavailable: Connection refused" in str(await failure(client))
        async with DecodeServer(FakeEngine(), port=server.port):
            await until(lambda: client.engine.available)
            assert (await client.decode(JOB)).text == TEXT
        await failure(client)
        await until(lambda: not client.engine.available)
    about = [line for line in warnings(caplog) if "is unavailable" in line]
    assert len(about) == 2  # one line each time


async def test_a_server_that_answers_jobs_may_miss_a_health_check() -> None:
    model = RemoteModel("base")
    async with LateServer(FakeEngine()) as server:
        client = InferenceClient(server.url)
        known = Known(client, model)
        server.busy = True
        await known.health.check()
        assert not known.health.available  # it may be loading its model
        server.busy = False
        await known.health.check()
        server.busy = True
        await known.health.check()
        assert known.health.available
        known._lively -= 60.0
        await known.health.check()
        assert not known.health.available  # a proxy answers, and nothing behind it
        server.busy = False
        await known.health.check()
        assert known.health.available
        await known.recognize(model, JOB)
        server.late, known._check_timeout = True, 0.05
        await known.health.check()
        assert known.health.available
        known._answered -= 60.0
        await known.health.check()
        assert not known.health.available
        await client.close()


async def test_a_job_waits_for_a_server_that_is_away_for_a_moment() -> None:
    server = DecodeServer(FakeEngine())
    async with server:
        pass
    async with connected(server.url) as client:
        waiting = asyncio.create_task(client.decode(Job(tone(1.0), ENGLISH)))
        with pytest.raises(EngineError, match="is unavailable"):
            await client.decode(GUESS)  # it does not wait
        async with DecodeServer(FakeEngine(), port=server.port):
            assert (await waiting).text == TEXT


async def test_the_server_with_fewer_jobs_gets_the_next() -> None:
    one, two = FakeEngine(held=True), FakeEngine()
    async with (
        DecodeServer(one) as first,
        DecodeServer(two) as second,
        connected(first.url, second.url) as client,
    ):
        running = asyncio.create_task(client.decode(JOB))
        await until(one.decoding.is_set)
        await client.decode(Job(tone(1.0), ENGLISH))
        assert len(two.decoded) == 1
        one.release()
        await running


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


async def test_tls_and_a_token(authority: trustme.CA, tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    tls = certificate(authority, "localhost")
    file = tmp_path / "token"
    file.write_text("s3cret")
    async with DecodeServer(FakeEngine(), tls=tls, token_file=file) as server:
        async with connected(server.url, ca=str(trusted), token="s3cret") as client:
            assert (await client.decode(JOB)).text == TEXT
        async with connected(server.url, ca=str(trusted), token="guess") as client:
            assert "status 401: the token is missing or wrong" in str(await failure(client))
        async with connected(server.url, token="s3cret") as client:
            said = str(await failure(client))
    assert "its certificate is not accepted (unable to get local issuer certificate)" in said
    assert "--remote-ca" in said


async def test_a_certificate_of_another_host_is_not_accepted(
    authority: trustme.CA, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    async with (
        DecodeServer(FakeEngine(), tls=certificate(authority, "other.example")) as server,
        connected(server.url, ca=str(trusted)) as client,
    ):
        said = str(await failure(client))
    assert "its certificate is not accepted (Hostname mismatch" in said


@pytest.mark.parametrize(
    "url", ["gpu-box:8000", "ftp://a", "http://", "http://a:99999", "http://u:p@a", "http://a?b"]
)
def test_a_malformed_url_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingError, match=r"--remote-url (is|contains) "):
        InferenceClient(url)


def test_authorities_that_cannot_be_read_are_a_setting_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for name, why in (("ca.pem", "it has no certificate"), ("missing.pem", "No such file")):
        with pytest.raises(SettingError, match=rf"--remote-ca is .* cannot be read: {why}"):
            InferenceClient("https://a", Access(authorities=str(tmp_path / name)))


# The local model as the next engine.


async def test_the_local_model_answers_when_a_server_fails() -> None:
    local = FakeEngine(lambda job: "here")
    async with (
        HostileServer(FakeEngine(), text(b"\x00")) as server,
        connected(server.url) as client,
    ):
        engine = FallbackEngine(client.engine, local, ENGLISH_MODEL)
        assert engine.parallel == client.engine.parallel > local.parallel
        assert [each.text for each in await asyncio.to_thread(engine.decode, [JOB])] == ["here"]
        german = [Job(tone(1.0), DecodeOptions(language="de")) for _ in range(2)]
        with pytest.raises(EngineError, match="control character"):
            await asyncio.to_thread(engine.decode, german)
        assert local.decoded == [JOB]


async def test_the_local_model_gets_only_wishes_that_it_can_serve() -> None:
    local = FakeEngine()
    plain = ServedModel("tiny.en", ("en",), capabilities=Capabilities(takes_hotwords=True))
    options = DecodeOptions(language="en", hotwords=("Nanit",), prompt="Hi.", beam_size=5)
    wishes = Job(tone(1.0), options, score_end=True)
    async with connected("http://127.0.0.1:1") as client:
        engine = FallbackEngine(client.engine, local, plain)
        await asyncio.to_thread(engine.decode, [wishes])
        with pytest.raises(EngineError, match="is unavailable"):
            await asyncio.to_thread(engine.decode, [Job(tone(1.0), ENGLISH, prefix="turn")])
    [decoded] = local.decoded
    assert decoded.options == DecodeOptions(language="en", hotwords=("Nanit",))
    assert not decoded.score_end


async def test_without_a_server_the_engine_is_the_local_one() -> None:
    local = FakeEngine(lambda job: "here", max_batch=2)
    async with connected("http://127.0.0.1:1") as client:
        engine = FallbackEngine(client.engine, local, ENGLISH_MODEL)
        assert (engine.max_batch, engine.parallel) == (2, 1)
        texts = await asyncio.to_thread(engine.decode, [JOB, GUESS])
        assert [each.text for each in texts] == ["here", "here"]
        assert [each.text for each in await asyncio.to_thread(engine.decode, [GUESS])] == ["here"]


async def test_jobs_are_counted_by_the_engine_and_its_outcome() -> None:
    def fail(job: Job) -> str:
        raise EngineError("too cold")

    async with DecodeServer(FakeEngine()) as server, connected(server.url) as client:
        engine = FallbackEngine(client.engine, FakeEngine(), ENGLISH_MODEL)
        await asyncio.to_thread(engine.decode, [JOB])
        assert counted(client) == {("remote", "answered"): 1}
    async with DecodeServer(FakeEngine(fail)) as server, connected(server.url) as client:
        engine = FallbackEngine(client.engine, FakeEngine(), ENGLISH_MODEL)
        await asyncio.to_thread(engine.decode, [JOB])
        assert counted(client) == {("remote", "failed"): 1, ("local", "answered"): 1}
    async with connected("http://127.0.0.1:1") as client:
        engine = FallbackEngine(client.engine, FakeEngine(fail, max_batch=2), ENGLISH_MODEL)
        with pytest.raises(EngineError):
            await asyncio.to_thread(engine.decode, [JOB, JOB])
        assert counted(client) == {("local", "failed"): 2}


async def test_busy_servers_and_withdrawn_jobs_are_counted() -> None:
    engine = FakeEngine(held=True)
    withdrawn = Job(tone(1.0), ENGLISH)
    async with DecodeServer(engine, max_waiting=1) as server, connected(server.url) as client:
        first = asyncio.create_task(client.decode(JOB))
        await until(engine.decoding.is_set)
        second = asyncio.create_task(client.decode(withdrawn))
        await until(lambda: server.model.statistics().waiting == 1)
        await failure(client)
        client.engine.withdraw(withdrawn)
        with pytest.raises(EngineError, match="withdrawn"):
            await second
        engine.release()
        await first
        assert counted(client) == {
            ("remote", "answered"): 1,
            ("remote", "busy"): 1,
            ("remote", "withdrawn"): 1,
        }


def counted(client: Client) -> dict[tuple[str, str], int]:
    """Return the jobs by engine and outcome, without zeros."""
    return {what: jobs for what, jobs in client.engine.outcomes.snapshot().items() if jobs}


async def test_a_guess_that_failed_does_not_wait_for_the_local_model() -> None:
    local = FakeEngine(held=True)
    async with (
        HostileServer(FakeEngine(), lambda response: b"") as server,
        connected(server.url) as client,
    ):
        engine = FallbackEngine(client.engine, local, ENGLISH_MODEL)
        running = asyncio.create_task(asyncio.to_thread(engine.decode, [JOB]))
        await until(local.decoding.is_set)
        with pytest.raises(Busy):
            await asyncio.to_thread(engine.decode, [GUESS])
        local.release()
        await running
