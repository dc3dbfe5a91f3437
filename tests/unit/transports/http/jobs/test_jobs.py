"""Background jobs: order, limits, expiry and cancellation, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.support.tasks import settled
from tests.support.virtual_time import run
from wyoming_faster_whisper.errors import AudioError, Busy, Stopping
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.tenant import Tenant
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.files.spool import Spool
from wyoming_faster_whisper.transports.http.jobs.job import Content, Job, JobStatus, Work
from wyoming_faster_whisper.transports.http.jobs.jobs import Jobs
from wyoming_faster_whisper.transports.http.jobs.limits import JobLimits

ALICE = Principal("192.0.2.1", "192.0.2.1:1")
BOB = Principal("192.0.2.2", "192.0.2.2:1")
NUMBERS = count()
Report = Callable[[float], None]
EPOCH = 1_800_000_000
LIMITS = JobLimits(number=8, uploads=1000, results=1000, running=2, seconds=3600)


class Desk:
    """A table of jobs, and the work of each, which the test ends."""

    def __init__(self, limits: JobLimits = LIMITS) -> None:
        loop = asyncio.get_running_loop()
        self.jobs = Jobs(limits, now=lambda: EPOCH + loop.time(), retry_after=lambda: 7)
        self.ended: list[Job] = []
        self.begun: list[Job] = []
        self.reports: dict[Job, Report] = {}
        self._results: dict[Job, asyncio.Future[Content]] = {}

    async def add(self, principal: Principal = ALICE, *, size: int = 10) -> Job:
        result: asyncio.Future[Content] = asyncio.get_running_loop().create_future()

        async def transcribe(report: Report) -> Content:
            self.begun.append(job)
            self.reports[job] = report
            return await result

        job = await self.take(transcribe, principal, size=size)
        self._results[job] = result
        return job

    async def take(
        self,
        transcribe: Callable[[Report], Awaitable[Content]],
        principal: Principal = ALICE,
        *,
        size: int = 10,
    ) -> Job:
        spool = Spool()
        await spool.write(bytes(size))
        spool.complete()
        job = self.jobs.add(principal, Work(spool, "base", transcribe))
        job.when_ended(self.ended.append)
        return job

    async def complete(self, job: Job, body: bytes = b"{}") -> None:
        self._results[job].set_result(Content(body, "application/json"))
        await settled()

    async def fail(self, job: Job, error: Exception) -> None:
        self._results[job].set_exception(error)
        await settled()

    def found(self, job: Job, principal: Principal = ALICE) -> bool:
        try:
            return self.jobs.find(job.id, principal) is job
        except ApiError:
            return False


def freed(job: Job) -> bool:
    """Return whether the upload of a job has been freed."""
    return job.work.spool._closed


async def refusal(desk: Desk, principal: Principal = ALICE, *, size: int = 10) -> str:
    with pytest.raises(Busy) as refused:
        await desk.add(principal, size=size)
    return str(refused.value)


def test_a_job_runs_and_keeps_its_result() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        await settled()
        assert job.status is JobStatus.IN_PROGRESS
        await asyncio.sleep(60)
        await desk.complete(job, b'{"text": "hello"}')
        assert json.loads(job.body()) == {
            "id": job.id,
            "object": "audio.transcription.job",
            "status": "completed",
            "created_at": EPOCH,
            "completed_at": EPOCH + 60,
            "expires_at": EPOCH + 3660,
            "progress": 1.0,
            "model": "base",
            "error": None,
            "result": {"text": "hello"},
        }
        assert job.content == Content(b'{"text": "hello"}', "application/json")
        assert freed(job)
        assert desk.ended == [job]

    run(test())


def test_a_result_that_is_not_json_is_left_out() -> None:
    async def test() -> None:
        async def transcribe(report: Report) -> Content:
            return Content(b"hello", "text/plain; charset=utf-8")

        job = await Desk().take(transcribe)
        await job.wait(1)
        assert json.loads(job.body())["result"] is None

    run(test())


def test_a_callback_set_after_the_end_is_called_at_once() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        await settled()
        await desk.complete(job)
        told: list[Job] = []
        job.when_ended(told.append)
        assert told == [job]

    run(test())


def test_progress_only_grows_and_is_one_at_the_end() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        seen = [job.progress]
        await settled()
        for share in (0.123, 0.1, 1.0):
            desk.reports[job](share)
            seen.append(job.progress)
        await desk.complete(job)
        assert [*seen, job.progress] == [0.0, 0.12, 0.12, 0.99, 1.0]

    run(test())


def test_a_client_has_a_limited_number_of_running_jobs_and_the_others_wait_in_order() -> None:
    async def test() -> None:
        desk = Desk()
        jobs = [await desk.add() for _ in range(4)]
        other = await desk.add(BOB)
        await settled()
        assert desk.begun == [*jobs[:2], other]
        assert [job.status for job in jobs[2:]] == [JobStatus.QUEUED] * 2
        await desk.complete(jobs[1])
        assert desk.begun[3:] == [jobs[2]]
        desk.jobs.delete(jobs[0])
        await settled()
        assert desk.begun[3:] == jobs[2:]

    run(test())


def test_all_clients_together_have_a_limited_number_of_running_jobs() -> None:
    async def test() -> None:
        desk = Desk(replace(LIMITS, running_in_total=3))
        jobs = [await desk.add(who) for who in (ALICE, BOB, BOB, ALICE)]
        await settled()
        assert desk.begun == jobs[:3]
        await desk.complete(jobs[1])
        assert desk.begun == jobs

    run(test())


def test_a_deleted_job_is_withdrawn_and_gone() -> None:
    async def test() -> None:
        desk = Desk()
        jobs = [await desk.add() for _ in range(3)]
        await settled()
        for job in jobs:
            desk.jobs.delete(job)
            assert job.status is JobStatus.CANCELLED
            assert freed(job)
            assert not desk.found(job)
        await settled()
        assert desk.begun == jobs[:2]

    run(test())


def test_a_job_that_is_deleted_when_its_result_comes_stays_cancelled() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        await settled()
        desk._results[job].set_result(Content(b"{}", "application/json"))
        desk.jobs.delete(job)
        await settled()
        assert job.status is JobStatus.CANCELLED

    run(test())


def test_a_job_belongs_to_its_client() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add(ALICE)
        assert desk.found(job, replace(ALICE, own_name="192.0.2.1:2"))
        with pytest.raises(ApiError) as refused:
            desk.jobs.find(job.id, BOB)
        assert (refused.value.status, refused.value.code) == (404, "job_not_found")

    run(test())


def test_a_job_of_an_earlier_run_is_lost_and_any_other_id_is_unknown() -> None:
    async def test() -> None:
        before, now = Desk(), Desk()
        job = await before.add()
        for identity, code in [
            (job.id, "job_lost"),
            ((await now.add()).id[:-1], "job_not_found"),
            ((await now.add()).id[:-1] + "x", "job_not_found"),
            ("", "job_not_found"),
            ("trsc_\n", "job_not_found"),
        ]:
            with pytest.raises(ApiError) as refused:
                now.jobs.find(identity, ALICE)
            assert (refused.value.status, refused.value.code) == (404, code)

    run(test())


def test_ids_cannot_be_guessed() -> None:
    async def test() -> None:
        first, second = [await Desk(LIMITS).add() for _ in range(2)]
        assert len(set(first.id) | set(second.id)) > 10
        assert first.id[-32:] != second.id[-32:]

    run(test())


def test_a_failed_job_keeps_its_error() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        await settled()
        await desk.fail(job, AudioError("no audio in it"))
        assert job.status is JobStatus.FAILED
        assert json.loads(job.body())["error"] == {
            "message": "no audio in it",
            "type": "invalid_request_error",
            "param": "file",
            "code": "unsupported_value",
        }
        assert job.completed_at == EPOCH
        assert freed(job)
        assert desk.ended == [job]

    run(test())


def test_a_fault_of_the_server_fails_the_job_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        desk = Desk()
        job, next_one = await desk.add(), await desk.add()
        await settled()
        await desk.fail(job, ZeroDivisionError("private"))
        assert job.error is not None
        assert (job.error.status, "private" in job.error.message) == (500, False)
        await desk.complete(next_one)
        assert next_one.status is JobStatus.COMPLETED

    run(test())
    assert "ZeroDivisionError" in caplog.text


def test_a_job_waits_while_the_server_is_busy() -> None:
    async def test() -> None:
        tries: list[float] = []

        async def transcribe(report: Report) -> Content:
            tries.append(asyncio.get_running_loop().time())
            if len(tries) < 4:
                raise Busy("the queue is full")
            return Content(b"{}", "application/json")

        job = await Desk().take(transcribe)
        await job.wait(60)
        assert job.status is JobStatus.COMPLETED
        assert tries == [0, 1, 3, 7]

    run(test())


def test_a_server_that_stays_busy_fails_the_job() -> None:
    async def test() -> None:
        async def transcribe(report: Report) -> Content:
            raise Busy("the queue is full")

        job = await Desk().take(transcribe)
        await job.wait(600)
        assert job.error is not None
        assert (job.status, job.error.status) == (JobStatus.FAILED, 429)

    run(test())


def test_a_result_is_kept_for_a_limited_time() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        await asyncio.sleep(3000)
        await desk.complete(job)
        await asyncio.sleep(3599)
        assert desk.found(job)
        await asyncio.sleep(2)
        assert not desk.found(job)

    run(test())


def test_a_job_that_does_not_end_in_time_fails_and_is_kept_for_as_long() -> None:
    async def test() -> None:
        desk = Desk()
        jobs = [await desk.add() for _ in range(3)]  # two run, one waits
        await asyncio.sleep(3601)
        for job in jobs:
            assert job.error is not None
            assert (job.status, job.error.code) == (JobStatus.FAILED, "job_timeout")
            assert freed(job)
            assert desk.found(job)
        await asyncio.sleep(3600)
        assert not any(map(desk.found, jobs))
        assert desk.begun == jobs[:2]

    run(test())


def tenant(name: str, **rules: Any) -> Principal:
    """Return a client of a tenant; each call another client."""
    of = Tenant(name=name, named=True, shares=True, **rules)
    return Principal(f"key:{next(NUMBERS)}", "client", tenant=of)


def test_the_clients_of_a_tenant_may_keep_a_limited_number_of_jobs() -> None:
    async def test() -> None:
        desk = Desk()
        jobs = [await desk.add(tenant("films", jobs=2)) for _ in range(2)]
        assert "no more than 2 jobs may be kept" in await refusal(desk, tenant("films", jobs=2))
        await desk.add(tenant("house"))
        desk.jobs.delete(jobs[0])
        await desk.add(tenant("films", jobs=2))

    run(test())


def test_a_tenant_runs_as_many_jobs_as_it_may_have_requests() -> None:
    async def test() -> None:
        desk = Desk()
        jobs = [await desk.add(tenant("films", requests=1)) for _ in range(2)]
        other = await desk.add(tenant("house"))
        await settled()
        assert desk.begun == [jobs[0], other]
        await desk.complete(jobs[0])
        await settled()
        assert desk.begun == [jobs[0], other, jobs[1]]

    run(test())


def test_a_job_waits_for_the_audio_of_its_tenant_s_minute_however_long_it_takes() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        tries: list[float] = []

        async def transcribe(report: Report) -> Content:
            tries.append(loop.time())
            if len(tries) < 12:
                raise Busy("the minute is used up", retry_after=100.0)
            return Content(b"done", "text/plain")

        desk = Desk()
        job = await desk.take(transcribe)
        await asyncio.sleep(1500)
        assert job.status is JobStatus.COMPLETED
        assert tries[-1] - tries[0] == 1100.0

    run(test())


def test_one_client_may_have_half_of_the_jobs() -> None:
    async def test() -> None:
        desk = Desk()
        jobs = [await desk.add(ALICE) for _ in range(4)]
        await settled()
        await desk.complete(jobs[0])  # a finished job counts until it is deleted
        assert "--max-jobs" in await refusal(desk, ALICE)
        for _ in range(4):
            await desk.add(BOB)
        await refusal(desk, Principal("192.0.2.3", "third"))
        desk.jobs.delete(jobs[0])
        await desk.add(ALICE)

    run(test())


def test_the_uploads_of_waiting_jobs_are_limited() -> None:
    async def test() -> None:
        desk = Desk()
        large = await desk.add(ALICE, size=600)  # one is allowed even if it is over half
        assert "--max-job-uploads" in await refusal(desk, ALICE, size=1)
        await desk.add(BOB, size=400)
        await refusal(desk, Principal("192.0.2.3", "third"), size=1)
        with pytest.raises(ApiError) as refused:
            await desk.add(BOB, size=1001)
        assert refused.value.status == 413
        await settled()
        await desk.complete(large)
        await desk.add(ALICE, size=600)

    run(test())


def test_a_refused_upload_is_freed() -> None:
    async def test() -> None:
        desk = Desk(replace(LIMITS, number=1))
        await desk.add()
        spool = Spool()

        async def transcribe(report: Report) -> Content:
            raise AssertionError

        with pytest.raises(Busy):
            desk.jobs.add(ALICE, Work(spool, "base", transcribe))
        assert spool._closed

    run(test())


def test_results_over_the_limit_cost_the_client_with_the_most_its_oldest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        desk = Desk()
        bobs = await desk.add(BOB)
        alices = []
        for size in (300, 300):
            job = await desk.add(ALICE)
            await settled()
            await desk.complete(job, bytes(size))
            await asyncio.sleep(10)
            alices.append(job)
        await desk.complete(bobs, bytes(400))
        assert all(map(desk.found, alices))
        another = await desk.add(ALICE)
        await settled()
        await desk.complete(another, b"1")
        assert [desk.found(job) for job in (*alices, another)] == [False, True, True]
        assert desk.found(bobs, BOB)

    run(test())
    assert "--max-job-results" in caplog.text


def test_a_result_over_the_limit_fails_its_job() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        await settled()
        await desk.complete(job, bytes(1001))
        assert job.error is not None
        assert (job.status, job.error.code) == (JobStatus.FAILED, "result_too_large")
        assert job.content is None

    run(test())


def test_waiting_for_a_job_ends_with_the_job_or_with_the_time() -> None:
    async def test() -> None:
        desk = Desk()
        job = await desk.add()
        clock = asyncio.get_running_loop().time
        await job.wait(20)
        assert (clock(), job.status) == (20, JobStatus.IN_PROGRESS)
        waiting = asyncio.create_task(job.wait(20))
        await asyncio.sleep(5)
        await desk.complete(job)
        await waiting
        assert clock() == 25

    run(test())


def test_a_stopping_server_lets_running_jobs_end_and_loses_the_others() -> None:
    async def test() -> None:
        desk = Desk()
        ends, late, waiting = [await desk.add() for _ in range(3)]
        await settled()
        draining = asyncio.create_task(desk.jobs.drain(8))
        await settled()
        assert waiting.status is JobStatus.FAILED
        with pytest.raises(Stopping):
            await desk.add()
        await desk.complete(ends)
        await draining
        assert asyncio.get_running_loop().time() == 8
        assert ends.status is JobStatus.COMPLETED
        for job in (late, waiting):
            assert job.error is not None
            assert (job.status, job.error.code) == (JobStatus.FAILED, "job_lost")
            assert freed(job)
        await settled()
        assert desk.begun == [ends, late]

    run(test())
