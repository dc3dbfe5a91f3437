"""Background jobs: transcriptions whose answers are fetched later. They live in memory only.

    QUEUED ──► IN_PROGRESS ──► COMPLETED or FAILED ──► deleted, by the client or when it expires
       │            │
       └────────────┴────────► CANCELLED, by the client, which deletes the job at once

All state belongs to the event loop. _start_waiting() is the only place where jobs begin; it runs
after every arrival and every departure. _end() is the only place where they end.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial

from ....errors import Busy, ServerError, Stopping, printable
from ....principal import Principal
from ..api_errors import ApiError, api_error
from .job import Content, Job, JobStatus, Work
from .limits import JobLimits

_LOGGER = logging.getLogger(__name__)

# A background job does not fail because the server is busy: it begins again after each of these
# delays in seconds, 4 minutes in all.
_BUSY_DELAYS = (1, 2, 4, 8, 16, 32, 64, 128)
_ID = re.compile("trsc_[0-9a-f]{40}")


class Jobs:
    """The jobs of all clients. Lives on the event loop.

    Args:
        limits: of their number, size and age.
        now: returns the seconds since the epoch.
        retry_after: returns the seconds after which a client whose job failed should try again.
    """

    def __init__(
        self, limits: JobLimits, *, now: Callable[[], float], retry_after: Callable[[], int]
    ) -> None:
        self._limits = limits
        self._now = now
        self._retry_after = retry_after
        self._prefix = f"trsc_{secrets.token_hex(4)}"  # of this run of the server
        self._jobs: dict[str, Job] = {}  # oldest first
        self._running: set[Job] = set()  # whose task has not ended, deleted ones included
        self._stopping = False

    def __repr__(self) -> str:
        return f"<Jobs {dict(Counter(job.status.value for job in self._jobs.values()))}>"

    def check_room(self, principal: Principal, size: int = 0) -> None:
        """Check whether a client may have one more job.

        Args:
            size: of its upload in bytes; 0 = not known yet.

        Raises:
            Busy: a limit is reached, or the server is stopping.
            ApiError: 413, the upload alone exceeds it.
        """
        if self._stopping:
            raise Stopping
        self._limits.check_room(self._jobs.values(), principal, size)

    def add(self, principal: Principal, work: Work) -> Job:
        """Take a new job. It begins as soon as few enough other jobs of its client run.

        Raises:
            Busy, ApiError: as check_room(). The upload has been freed.
        """
        try:
            self.check_room(principal, work.spool.size)
        except (ApiError, Busy):
            work.spool.close()
            raise
        identity, now = f"{self._prefix}{secrets.token_hex(16)}", int(self._now())
        job = Job(identity, principal, work, now, now + int(self._limits.seconds))
        self._jobs[job.id] = job
        self._expire_later(job)
        _LOGGER.info("%s: new job %s", principal.name, job.id)
        self._start_waiting()
        return job

    def find(self, identity: str, principal: Principal) -> Job:
        """Return a job of a client.

        Raises:
            ApiError: 404, the client has no such job, or the server has restarted since.
        """
        job = self._jobs.get(identity)
        if job is not None and job.principal.key == principal.key:
            return job
        shown = printable(identity, 60)
        if _ID.fullmatch(identity) and not identity.startswith(self._prefix):
            raise ApiError(
                404,
                f"job {shown} is older than this run of the server; jobs do not survive a "
                "restart, so send the file again",
                code="job_lost",
            )
        raise ApiError(
            404,
            f"there is no job {shown}; it may have been deleted or have expired",
            code="job_not_found",
        )

    def delete(self, job: Job) -> None:
        """Delete a job. One that has not ended is cancelled."""
        self._withdraw(job, JobStatus.CANCELLED)
        self._remove(job)

    async def drain(self, seconds: float) -> None:
        """Refuse new jobs, fail waiting ones, let running ones end, then fail the others.

        Args:
            seconds: time for running jobs to end.
        """
        self._stopping = True
        lost = ApiError(
            503, "the server stopped before the job ended", type="server_error", code="job_lost"
        )
        for job in list(self._jobs.values()):
            if job.status is JobStatus.QUEUED:
                self._end(job, JobStatus.FAILED, error=lost)
        if running := [job.task for job in self._running if job.task is not None]:
            await asyncio.wait(running, timeout=seconds)
        for job in list(self._jobs.values()):
            self._withdraw(job, JobStatus.FAILED, lost)

    def _start_waiting(self) -> None:
        """Start the jobs that may run now, oldest first."""
        if self._stopping:
            return
        running = Counter(job.principal.key for job in self._running)
        tenants = Counter(job.principal.tenant.name for job in self._running)
        for job in self._jobs.values():
            if running.total() >= self._limits.running_in_total:
                return
            key, tenant = job.principal.key, job.principal.tenant
            most = tenant.requests or len(self._jobs)
            if (
                job.status is JobStatus.QUEUED
                and running[key] < self._limits.running
                and tenants[tenant.name] < most
            ):
                running[key] += 1
                tenants[tenant.name] += 1
                self._running.add(job)
                job.status = JobStatus.IN_PROGRESS
                job.task = asyncio.create_task(self._run(job))
                # A callback, not a finally clause: a task that is cancelled early never runs.
                job.task.add_done_callback(partial(self._task_ended, job))

    async def _run(self, job: Job) -> None:
        try:
            content = await self._transcribe(job)
        except (ApiError, ServerError) as error:
            failed = api_error(error, self._retry_after).with_traceback(None)
            _LOGGER.warning("%s: job %s: %s", job.principal.name, job.id, failed)
            self._end(job, JobStatus.FAILED, error=failed)
        except Exception:
            _LOGGER.exception("internal error in job %s", job.id)
        else:
            self._complete(job, content)

    async def _transcribe(self, job: Job) -> Content:
        delays = iter(_BUSY_DELAYS)
        while True:
            try:
                return await job.work.transcribe(job.report)
            except Busy as error:
                # The audio of its tenant's minute is used up: it may take long, but will pass.
                delay = error.retry_after or next(delays, None)
                if delay is None:
                    raise
                await asyncio.sleep(delay)

    def _complete(self, job: Job, content: Content) -> None:
        if job.has_ended:
            return  # withdrawn at the same moment
        size, limit = len(content.body), self._limits.results
        if size > limit:
            message = f"the result has {size} bytes; the limit is {limit}; see --max-job-results"
            error = ApiError(413, message, code="result_too_large")
            self._end(job, JobStatus.FAILED, error=error)
            return
        job.content, job.progress = content, 1.0
        self._end(job, JobStatus.COMPLETED)
        for other in self._limits.excess(self._jobs.values()):
            _LOGGER.warning(
                "%s: job %s is deleted early, because all results together exceed "
                "--max-job-results",
                other.principal.name,
                other.id,
            )
            self._remove(other)

    def _task_ended(self, job: Job, _: asyncio.Task[None]) -> None:
        """Handle the end of a job's task."""
        self._running.discard(job)
        job.task = None
        internal = ApiError(500, "internal error; see the server's log", type="server_error")
        self._end(job, JobStatus.FAILED, error=internal)  # if nothing else has ended it
        self._start_waiting()

    def _withdraw(self, job: Job, status: JobStatus, error: ApiError | None = None) -> None:
        """End a job from outside its task."""
        if job.task is not None:
            job.task.cancel()
        self._end(job, status, error=error)

    def _end(self, job: Job, status: JobStatus, *, error: ApiError | None = None) -> None:
        """End a job, and free its upload. One that has ended is left as it is."""
        if job.has_ended:
            return
        job.work.spool.close()
        job.status, job.error = status, error
        job.completed_at = int(self._now())
        job.expires_at = job.completed_at + int(self._limits.seconds)
        job.ended.set()
        self._expire_later(job)
        _LOGGER.info("%s: job %s is %s", job.principal.name, job.id, status)
        job.on_end(job)

    def _expire_later(self, job: Job) -> None:
        if job.timer is not None:
            job.timer.cancel()
        loop = asyncio.get_running_loop()
        job.timer = loop.call_later(self._limits.seconds, self._expire, job)

    def _expire(self, job: Job) -> None:
        if job.has_ended:
            self._remove(job)
            return
        message = f"the job did not end within {self._limits.seconds:g} s; see --job-expiry"
        self._withdraw(job, JobStatus.FAILED, ApiError(408, message, code="job_timeout"))

    def _remove(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job.timer is not None:
            job.timer.cancel()
