"""One background job: its work, status and progress."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ....principal import Principal
from ..answer_members import JSON
from ..api_errors import ApiError, error_body
from ..files.spool import Spool


class JobStatus(StrEnum):
    """Status of a job; see the diagram in jobs.py."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Content:
    """A rendered answer."""

    body: bytes
    type: str  # content type


@dataclass(frozen=True, slots=True)
class Work:
    """Work of a job."""

    spool: Spool  # the complete upload, not empty; it is closed when the job ends
    model: str
    # Takes a function to be called with the share that has been transcribed, 0 to 1. The call is
    # cancelled to withdraw it.
    transcribe: Callable[[Callable[[float], None]], Awaitable[Content]]


def _ignore(_: Job) -> None:
    pass


@dataclass(slots=True, eq=False)
class Job:
    """One job. Only Jobs changes it."""

    id: str
    principal: Principal
    work: Work
    created_at: int  # seconds since the epoch, like the other times
    expires_at: int  # until it has ended: when it fails; then: when it is deleted
    status: JobStatus = JobStatus.QUEUED
    progress: float = 0.0  # share of the file that has been transcribed; 1 = completed
    completed_at: int | None = None  # when it ended, however
    content: Content | None = None  # of a completed job
    error: ApiError | None = None  # of a failed job
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None  # while it runs
    timer: asyncio.TimerHandle | None = None  # of its expiry
    on_end: Callable[[Job], None] = _ignore

    def __repr__(self) -> str:
        return f"<Job {self.id} of {self.principal.name}, {self.status}>"

    @property
    def has_ended(self) -> bool:
        return self.ended.is_set()

    @property
    def upload_bytes(self) -> int:
        """Size of the upload, which is kept until the job ends."""
        return 0 if self.has_ended else self.work.spool.size

    @property
    def result_bytes(self) -> int:
        return len(self.content.body) if self.content is not None else 0

    def report(self, share: float) -> None:
        """Take the share of the file that has been transcribed, 0 to 1. It never decreases."""
        self.progress = min(0.99, max(self.progress, round(share, 2)))

    async def wait(self, seconds: float) -> None:
        """Wait until the job has ended, but not longer than this many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()

    def when_ended(self, call: Callable[[Job], None]) -> None:
        """Call a function when the job has ended: at once, if it has. Only one can be set."""
        if self.has_ended:
            call(self)
        else:
            self.on_end = call

    def body(self) -> bytes:
        """Return the job object of the API as JSON, with the result if that is JSON as well."""
        described = json.dumps(self._describe()).encode()
        is_json = self.content is not None and self.content.type.partition(";")[0] == JSON
        result = self.content.body if self.content is not None and is_json else b"null"
        return described[:-1] + b', "result": ' + result + b"}"  # not parsed: it may be large

    def _describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "audio.transcription.job",
            "status": self.status,
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "expires_at": self.expires_at,
            "progress": self.progress,
            "model": self.work.model,
            "error": error_body(self.error)["error"] if self.error is not None else None,
        }
