"""Requests in the background: the client waits, leaves, or is told by a webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from starlette.types import Message

from tests.support.virtual_time import run
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.files.form import TranscriptionForm
from wyoming_faster_whisper.transports.http.files.spool import Spool
from wyoming_faster_whisper.transports.http.jobs.background import Background, jobs_reference
from wyoming_faster_whisper.transports.http.jobs.job import Content, Work
from wyoming_faster_whisper.transports.http.jobs.jobs import Jobs
from wyoming_faster_whisper.transports.http.jobs.limits import JobLimits
from wyoming_faster_whisper.transports.http.jobs.prefer import Prefer
from wyoming_faster_whisper.transports.http.jobs.webhooks import Webhooks

ALICE = Principal("192.0.2.1", "192.0.2.1:1")
HOOK = "https://hooks.example.org/stt"
SECRET = "whsec_" + 32 * "A"
ASYNC = Prefer(True)
BACKGROUND = TranscriptionForm(background=True)


class Exchange:
    """A client's request in the background, and the server that it reaches.

    Args:
        seconds: that the transcription takes.
        error: how it ends; None = with an answer.
        answers: whether the server sends its response, or hangs.
    """

    def __init__(
        self, seconds: float, error: ApiError | None = None, *, answers: bool = True
    ) -> None:
        loop = asyncio.get_running_loop()
        self.jobs = Jobs(JobLimits(), now=loop.time, retry_after=lambda: 1)
        self.events: list[dict[str, Any]] = []
        transport = httpx2.MockTransport(self._receive)
        self.webhooks = Webhooks([HOOK], SECRET, now=loop.time, transport=transport)
        self.background = Background(self.jobs, self.webhooks)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self._seconds = seconds
        self._error = error
        self._answers = answers

    async def answer(self, prefer: Prefer, webhook_url: str | None = None) -> None:
        spool = Spool()
        await spool.write(b"x")
        work = Work(spool, "base", self._transcribe)
        await self.background.answer(
            work, webhook_url, prefer, ALICE, self._send, jobs="transcriptions"
        )

    def left(self) -> list[str]:
        return list(self.jobs._jobs)

    async def _transcribe(self, report: Callable[[float], None]) -> Content:
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error
        return Content(b"hello", "text/plain; charset=utf-8")

    async def _send(self, message: Message) -> None:
        if not self._answers:
            await asyncio.Event().wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        self.body += message.get("body", b"")

    def _receive(self, request: httpx2.Request) -> httpx2.Response:
        self.events.append(json.loads(request.content))
        return httpx2.Response(200)


def clock() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("form", "prefer", "taken"),
    [
        (BACKGROUND, Prefer(), True),
        (BACKGROUND, ASYNC, True),
        (TranscriptionForm(), ASYNC, True),
        (TranscriptionForm(), Prefer(), False),
        (TranscriptionForm(), Prefer(wait=10), False),
        (TranscriptionForm(stream=True), ASYNC, False),
    ],
)
def test_the_form_or_the_header_asks_for_a_job(
    form: TranscriptionForm, prefer: Prefer, taken: bool
) -> None:
    async def test() -> None:
        assert Exchange(1).background.takes(form, prefer, ALICE) is taken

    run(test())


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1", "/speech/v1"])
@pytest.mark.parametrize(
    "path",
    [
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/transcriptions/",
        "/audio//translations",
        "/asr",
        "/asr/",
    ],
)
def test_jobs_are_found_below_the_prefix_of_a_proxy(prefix: str, path: str) -> None:
    url = f"https://home.example{prefix}{path}"
    found = urljoin(url, f"{jobs_reference(prefix + path)}/trsc_1")
    assert found.replace("//", "/") == f"https:/home.example{prefix}/audio/transcriptions/trsc_1"


@pytest.mark.parametrize("wait", [0, 5])
def test_a_client_gets_the_job_after_the_time_that_it_waits(wait: float) -> None:
    async def test() -> None:
        exchange = Exchange(10)
        await exchange.answer(Prefer(True, wait))
        assert (clock(), exchange.status) == (wait, 202)
        job = json.loads(exchange.body)
        assert job["status"] == ("in_progress")
        assert exchange.headers["location"] == f"transcriptions/{job['id']}"
        assert exchange.headers["preference-applied"] == "respond-async"
        assert exchange.left() == [job["id"]]

    run(test())


def test_a_client_that_waits_gets_an_answer_that_comes_in_time() -> None:
    async def test() -> None:
        exchange = Exchange(10)
        await exchange.answer(Prefer(True, 20))
        assert (clock(), exchange.status, exchange.body) == (10, 200, b"hello")
        assert exchange.headers["content-type"] == "text/plain; charset=utf-8"
        assert exchange.left() == []

    run(test())


def test_a_client_that_waits_gets_an_error_that_comes_in_time() -> None:
    async def test() -> None:
        exchange = Exchange(10, ApiError(400, "no audio"))
        with pytest.raises(ApiError, match="no audio"):
            await exchange.answer(Prefer(True, 20))
        assert exchange.left() == []

    run(test())


def test_no_client_waits_longer_than_a_minute() -> None:
    async def test() -> None:
        exchange = Exchange(100)
        await exchange.answer(Prefer(True, 1000))
        assert (clock(), exchange.status) == (60, 202)

    run(test())


@pytest.mark.parametrize(("prefer", "answers"), [(Prefer(True, 30), True), (ASYNC, False)])
def test_a_client_that_leaves_before_it_has_the_job_cancels_it(
    prefer: Prefer, answers: bool
) -> None:
    async def test() -> None:
        exchange = Exchange(10, answers=answers)
        request = asyncio.create_task(exchange.answer(prefer, HOOK))
        await asyncio.sleep(5)
        assert len(exchange.left()) == 1
        request.cancel()
        await asyncio.wait([request])
        assert exchange.left() == []
        await exchange.webhooks.close(1)
        assert exchange.events == []

    run(test())


@pytest.mark.parametrize(
    ("error", "type"),
    [(None, "transcription.completed"), (ApiError(400, "no"), "transcription.failed")],
)
def test_a_webhook_tells_how_the_job_ended(error: ApiError | None, type: str) -> None:
    async def test() -> None:
        exchange = Exchange(10, error)
        await exchange.answer(ASYNC, HOOK)
        await asyncio.sleep(9)
        assert exchange.events == []
        await asyncio.sleep(2)
        [event] = exchange.events
        assert (event["type"], event["data"]) == (type, {"id": exchange.left()[0]})
        await exchange.webhooks.close(0)

    run(test())


def test_a_deleted_job_calls_no_webhook() -> None:
    async def test() -> None:
        exchange = Exchange(10)
        await exchange.answer(ASYNC, HOOK)
        exchange.jobs.delete(exchange.jobs.find(exchange.left()[0], ALICE))
        await asyncio.sleep(20)
        assert exchange.events == []
        await exchange.webhooks.close(0)

    run(test())


def test_an_answer_that_the_client_got_itself_calls_no_webhook() -> None:
    async def test() -> None:
        exchange = Exchange(10)
        await exchange.answer(Prefer(True, 20), HOOK)
        await exchange.webhooks.close(1)
        assert exchange.events == []

    run(test())
