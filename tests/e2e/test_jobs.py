"""Background jobs of the API: from the upload to the answer, and what becomes of them."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest

from tests.support.api import Reply, form, head, openai, post, request, wav
from tests.support.serving import Server, peer, until
from tests.support.web import address
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing import FakeEngine, silence, tone
from wyoming_faster_whisper.transports.http.jobs.jobs import Jobs

from .conftest import Serve

PATH = "/v1/audio/transcriptions"
SECOND = wav(tone(1.0))
BACKGROUND = [("model", "whisper-1"), ("background", "true")]
ALICE, BOB = "127.0.0.1", "127.0.0.2"


async def submit(server: Server, *fields: tuple[str, str], file: bytes = SECOND) -> str:
    """Post a file in the background; return the job's id."""
    reply = await post(server, PATH, form([*BACKGROUND, *fields], file))
    assert reply.status == 202, reply.body
    identity: str = reply.json["id"]
    return identity


async def job(server: Server, identity: str, *, wait: int = 0) -> Any:
    """Return the job object."""
    reply = await request(server, "GET", f"{PATH}/{identity}?wait={wait}")
    assert reply.status == 200, reply.body
    return reply.json


async def content(server: Server, identity: str, *, wait: int = 0) -> Reply:
    return await request(server, "GET", f"{PATH}/{identity}/content?wait={wait}")


def jobs(server: Server) -> Jobs:
    assert server.service._api_server is not None
    return server.service._api_server._jobs


async def test_a_job_is_queued_runs_and_is_completed(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, max_files=1)
    accepted = await post(server, PATH, form(BACKGROUND, SECOND))
    assert accepted.status == 202
    first = accepted.json
    assert urljoin(PATH, accepted.headers["location"]) == f"{PATH}/{first['id']}"
    assert "preference-applied" not in accepted.headers
    second = await submit(server)
    await asyncio.to_thread(engine.decoding.wait)
    assert (await job(server, first["id"]))["status"] == "in_progress"
    queued = await job(server, second)
    assert (queued["status"], queued["result"], queued["progress"]) == ("queued", None, 0)
    engine.release()
    done = await job(server, second, wait=30)
    assert done["status"] == "completed"
    assert done["created_at"] <= done["completed_at"] < done["expires_at"]
    assert done["result"]["text"] == "1.0 seconds"
    assert (done["object"], done["model"], done["error"]) == (
        "audio.transcription.job",
        "base",
        None,
    )
    assert (await job(server, first["id"]))["status"] == "completed"


async def test_progress_is_the_share_whose_text_is_known(serve: Serve) -> None:
    go = threading.Event()

    def say(decoded: Job) -> str:
        if decoded.seconds < 5:
            go.wait()
        return "heard"

    server = await serve(FakeEngine(say), http_port=0)
    # The second tone counts as silence until the VAD notices it.
    file = wav(np.concatenate([tone(6.0), silence(5.2), tone(3.5)]))
    identity = await submit(server, file=file)
    [found] = jobs(server)._jobs.values()
    await until(lambda: found.progress > 0)
    assert 0.5 < (await job(server, identity))["progress"] < 0.9
    go.set()
    assert (await job(server, identity, wait=30))["progress"] == 1


@pytest.mark.parametrize(
    ("response_format", "kind", "begins"),
    [
        ("text", "text/plain", b"1.0 seconds"),
        ("srt", "application/x-subrip", b"1\n00:00:00,000 --> "),
        ("vtt", "text/vtt", b"WEBVTT"),
    ],
)
async def test_the_content_has_the_format_that_was_asked_for(
    serve: Serve, response_format: str, kind: str, begins: bytes
) -> None:
    server = await serve(http_port=0)
    identity = await submit(server, ("response_format", response_format))
    reply = await content(server, identity, wait=30)
    assert reply.headers["content-type"].startswith(kind)
    assert reply.body.startswith(begins)
    assert (await job(server, identity))["result"] is None


async def test_the_result_is_the_answer_in_verbose_json(serve: Serve) -> None:
    server = await serve(http_port=0)
    identity = await submit(server, ("response_format", "verbose_json"))
    result = (await job(server, identity, wait=30))["result"]
    assert [segment["text"].strip() for segment in result["segments"]] == ["1.0 seconds"]
    assert (await content(server, identity)).json == result


async def test_the_content_comes_when_the_job_is_completed(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    identity = await submit(server)
    early = await content(server, identity)
    assert (early.status, early.error["code"]) == (409, "job_not_completed")
    assert early.headers["x-should-retry"] == "false"
    engine.release()
    reply = await content(server, identity, wait=30)
    assert reply.status == 200
    assert reply.json["text"] == "1.0 seconds"


async def test_a_header_asks_for_a_job_as_well(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), http_port=0)
    reply = await post(server, PATH, form([], SECOND), prefer="respond-async")
    assert reply.status == 202
    assert reply.headers["preference-applied"] == "respond-async"


async def test_the_field_may_follow_the_file(serve: Serve) -> None:
    server = await serve(http_port=0)
    start = form([("model", "whisper-1")], SECOND)[: -len("--boundary--\r\n")]
    reply = await post(server, PATH, start + form([("background", "true")], None))
    assert reply.status == 202


async def test_a_client_that_waits_for_a_quick_answer_gets_it_and_no_job(serve: Serve) -> None:
    server = await serve(http_port=0)
    reply = await post(server, PATH, form([], SECOND), prefer="respond-async, wait=30")
    assert (reply.status, reply.json["text"]) == (200, "1.0 seconds")
    assert repr(jobs(server)) == "<Jobs {}>"


async def test_a_client_that_waits_for_a_quick_answer_gets_its_error(serve: Serve) -> None:
    server = await serve(http_port=0)
    reply = await post(server, PATH, form([], b"no audio"), prefer="respond-async, wait=30")
    assert (reply.status, reply.error["param"]) == (400, "file")
    assert repr(jobs(server)) == "<Jobs {}>"


async def test_a_client_that_leaves_before_it_knows_its_job_cancels_it(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    body = form([], SECOND)
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        lines = head(
            "POST", PATH, length=len(body), content_type=kind, prefer="respond-async, wait=30"
        )
        connection.send(lines + body)
        await asyncio.to_thread(engine.decoding.wait)
        assert "in_progress" in repr(jobs(server))
    await until(lambda: repr(jobs(server)) == "<Jobs {}>")


async def test_a_stream_is_sent_at_once_whatever_the_client_prefers(serve: Serve) -> None:
    server = await serve(http_port=0)
    reply = await post(server, PATH, form([("stream", "true")], SECOND), prefer="respond-async")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")


async def test_a_translation_is_a_job_like_any_other(serve: Serve) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    reply = await post(server, "/v1/audio/translations", form(BACKGROUND, SECOND))
    assert (await job(server, reply.json["id"], wait=30))["status"] == "completed"
    assert engine.decoded[-1].options.task == "translate"


async def test_openai_s_client_can_make_a_job(serve: Serve) -> None:
    server = await serve(http_port=0)
    async with openai(server) as client:
        answer = await client.audio.transcriptions.with_raw_response.create(
            model="whisper-1", file=SECOND, extra_body={"background": True}
        )
        assert answer.status_code == 202
        url = urljoin(str(answer.url), answer.headers["location"])
        found = await client.get(f"{url}?wait=30", cast_to=object)
    assert found["result"]["text"] == "1.0 seconds"  # type: ignore[index]


@pytest.mark.parametrize("prefix", ["", "/openai/v1"])
async def test_a_job_is_found_under_every_prefix(serve: Serve, prefix: str) -> None:
    server = await serve(http_port=0)
    identity = await submit(server)
    reply = await request(server, "GET", f"{prefix}/audio/transcriptions/{identity}")
    assert reply.json["id"] == identity


async def test_a_file_without_audio_fails_its_job(serve: Serve) -> None:
    server = await serve(http_port=0)
    identity = await submit(server, file=b"hello, this is not audio")
    failed = await job(server, identity, wait=30)
    assert (failed["status"], failed["result"]) == ("failed", None)
    assert failed["error"]["param"] == "file"
    reply = await content(server, identity)
    assert (reply.status, reply.error) == (400, failed["error"])
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("fields", "file", "status", "param"),
    [
        ([("model", "parakeet")], SECOND, 404, "model"),
        ([("language", "klingon")], SECOND, 400, "language"),
        ([], None, 400, "file"),
        ([], b"", 400, "file"),
        ([("stream", "true")], SECOND, 400, "stream"),
        ([("webhook_url", "http://127.0.0.1/")], SECOND, 400, "webhook_url"),
    ],
)
async def test_a_wrong_request_is_refused_at_once(
    serve: Serve, fields: list[tuple[str, str]], file: bytes | None, status: int, param: str
) -> None:
    server = await serve(http_port=0)
    reply = await post(server, PATH, form([*BACKGROUND, *fields], file))
    assert (reply.status, reply.error["param"]) == (status, param)
    assert repr(jobs(server)) == "<Jobs {}>"


async def test_a_webhook_needs_a_job(serve: Serve) -> None:
    server = await serve(http_port=0)
    reply = await post(server, PATH, form([("webhook_url", "https://a.example/")], SECOND))
    assert (reply.status, reply.error["param"]) == (400, "webhook_url")


async def test_a_deleted_job_withdraws_its_decodes(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    first = await submit(server)
    await asyncio.to_thread(engine.decoding.wait)
    second = await submit(server)
    await until(lambda: server.waiting > 0)
    deleted = await request(server, "DELETE", f"{PATH}/{second}")
    assert deleted.json == {
        "id": second,
        "object": "audio.transcription.job.deleted",
        "deleted": True,
    }
    assert (await request(server, "GET", f"{PATH}/{second}")).status == 404
    await until(lambda: server.waiting == 0)
    assert server.withdrawn == 1
    engine.release()
    assert (await job(server, first, wait=30))["status"] == "completed"


async def test_a_client_that_waits_for_a_deleted_job_is_told(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), http_port=0)
    identity = await submit(server)
    [found] = jobs(server)._jobs.values()
    waiting = asyncio.create_task(job(server, identity, wait=30))
    await until(lambda: bool(found.ended._waiters))
    await request(server, "DELETE", f"{PATH}/{identity}")
    assert (await waiting)["status"] == "cancelled"


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("GET", "/content"), ("DELETE", "")])
async def test_a_job_is_hidden_from_other_clients(serve: Serve, method: str, suffix: str) -> None:
    server = await serve(http_port=0)
    identity = await submit(server)
    await job(server, identity, wait=30)
    hidden = await request(server, method, f"{PATH}/{identity}{suffix}", source=BOB)
    unknown = await request(server, method, f"{PATH}/trsc_1{suffix}", source=BOB)
    assert (hidden.status, hidden.error["code"]) == (404, "job_not_found")
    assert (unknown.status, unknown.error["code"]) == (404, "job_not_found")
    assert (await content(server, identity)).status == 200


async def test_a_client_has_a_limited_number_of_jobs(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), http_port=0, max_jobs=2)
    identity = await submit(server)
    refused = await post(server, PATH, form(BACKGROUND, SECOND))
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) >= 1
    other = await post(server, PATH, form(BACKGROUND, SECOND), source=BOB)
    assert other.status == 202
    await request(server, "DELETE", f"{PATH}/{identity}")
    await submit(server)


async def test_a_job_without_room_is_refused_before_its_upload(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), http_port=0, max_jobs=2)
    await submit(server)
    async with peer(f"tcp://{address(server)}") as connection:
        body = form(BACKGROUND, bytes(100_000))
        kind = "multipart/form-data; boundary=boundary"
        connection.send(head("POST", PATH, length=len(body), content_type=kind) + body[:50_000])
        reply = await connection.until(b"--max-jobs")
    assert b" 429 " in reply


def files_in(folder: Path) -> list[str]:
    """Return the files of a folder that this process has open, deleted ones as well."""
    found = []
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = os.readlink(entry.path)
        except OSError:
            continue  # the descriptor of the scan
        if target.startswith(f"{folder}/"):
            found.append(target)
    return found


async def test_uploads_wait_on_the_disk_up_to_a_limit_and_nothing_is_left(
    serve: Serve, tmp_path: Path
) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, max_job_uploads=4, max_files=1)
    large = wav(np.concatenate([tone(1.0), silence(60.0)]))  # nearly 2 MiB
    first, second = await submit(server, file=large), await submit(server, file=SECOND)
    refused = await post(server, PATH, form(BACKGROUND, large))
    assert refused.status == 429
    assert "--max-job-uploads" in refused.error["message"]
    assert len(await asyncio.to_thread(files_in, tmp_path / "tmp")) == 1
    engine.release()
    assert (await job(server, second, wait=30))["status"] == "completed"
    assert (await job(server, first))["status"] == "completed"
    assert await asyncio.to_thread(files_in, tmp_path / "tmp") == []
    assert await asyncio.to_thread(os.listdir, tmp_path / "tmp") == []


async def test_a_deleted_job_leaves_nothing_on_the_disk(serve: Serve, tmp_path: Path) -> None:
    server = await serve(FakeEngine(held=True), http_port=0)
    identity = await submit(server, file=wav(np.concatenate([tone(1.0), silence(60.0)])))
    assert await asyncio.to_thread(files_in, tmp_path / "tmp") != []
    await request(server, "DELETE", f"{PATH}/{identity}")
    assert await asyncio.to_thread(files_in, tmp_path / "tmp") == []


async def test_an_expired_job_is_gone(serve: Serve) -> None:
    server = await serve(http_port=0, job_expiry=0.01)
    identity = await submit(server)
    await until(lambda: repr(jobs(server)) == "<Jobs {}>")
    reply = await request(server, "GET", f"{PATH}/{identity}")
    assert (reply.status, reply.error["code"]) == (404, "job_not_found")


async def test_a_job_does_not_survive_a_restart(serve: Serve) -> None:
    before, after = await serve(http_port=0), await serve(http_port=0)
    identity = await submit(before)
    reply = await request(after, "GET", f"{PATH}/{identity}")
    assert (reply.status, reply.error["code"]) == (404, "job_lost")
    assert "restart" in reply.error["message"]


async def test_a_stopping_server_lets_a_job_end_and_tells_the_client_that_waits(
    serve: Serve,
) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, max_files=1)
    running, queued = await submit(server), await submit(server)
    await asyncio.to_thread(engine.decoding.wait)
    waiting = asyncio.create_task(job(server, running, wait=30))
    lost = asyncio.create_task(job(server, queued, wait=30))
    found = jobs(server)._jobs.values()
    await until(lambda: all(each.ended._waiters for each in found))
    closing = asyncio.create_task(server.service.close())
    assert (await lost)["error"]["code"] == "job_lost"
    engine.release()
    assert (await waiting)["result"]["text"] == "1.0 seconds"
    await closing


@pytest.mark.parametrize("wait", ["-1", "soon", "nan"])
async def test_a_wrong_time_to_wait_is_refused(serve: Serve, wait: str) -> None:
    server = await serve(http_port=0)
    identity = await submit(server)
    reply = await request(server, "GET", f"{PATH}/{identity}?wait={wait}")
    assert (reply.status, reply.error["param"]) == (400, "wait")
    assert reply.error["message"].startswith(f"wait is '{wait}': ")


async def test_jobs_are_described(serve: Serve) -> None:
    server = await serve(http_port=0)
    described = (await request(server, "GET", "/openapi.json")).json["paths"]
    assert "202" in described[PATH]["post"]["responses"]
    assert set(described[f"{PATH}/{{id}}"]) == {"get", "delete"}
    assert f"{PATH}/{{id}}/content" in described
