"""Limits of background jobs: room for new ones, and results to delete early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ....errors import Busy, counted
from ....principal import Principal
from ....tenant import has_room
from ..api_errors import ApiError
from .job import Job


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Limits for the jobs of all clients. One client may use half of the first two."""

    number: int = 256  # jobs, from the upload until they are deleted
    uploads: int = 1024 * 1024 * 1024  # bytes of the uploads of jobs that have not ended
    results: int = 64 * 1024 * 1024  # bytes of the results
    running: int = 4  # jobs of one client that run at the same time; the others wait
    running_in_total: int = 16  # jobs of all clients that run at the same time
    seconds: float = 86_400.0  # for a job to end, and from its end until it is deleted

    def check_room(self, jobs: Collection[Job], principal: Principal, size: int) -> None:
        """Check whether a client may have one more job.

        Args:
            jobs: of all clients.
            principal: the client.
            size: of the upload in bytes; 0 = not known yet.

        Raises:
            Busy: a limit is reached.
            ApiError: 413, the upload alone exceeds it.
        """
        if size > self.uploads:
            raise ApiError(
                413,
                f"the upload has {size} bytes; the uploads of all background jobs together may "
                f"have {self.uploads}; see --max-job-uploads",
                code="request_too_large",
            )
        tenant = principal.tenant
        own = [job for job in jobs if job.principal.key == principal.key]
        same = [job for job in jobs if job.principal.tenant.name == tenant.name]
        many = not has_room(len(same), len(jobs), self.number, tenant)
        if tenant.jobs and len(same) >= tenant.jobs:
            full = f"no more than {counted(tenant.jobs, 'job')} may be kept"
        elif many or len(own) >= max(1, self.number // 2):
            full = f"{counted(len(own), 'job')} of this client are kept; see --max-jobs"
        elif not has_room(
            _upload_bytes(same) + size - 1, _upload_bytes(jobs) + size - 1, self.uploads, tenant
        ) or (
            # Half of the limit may be less than one upload, so one is always allowed.
            (waiting := _upload_bytes(own)) and waiting + size > self.uploads // 2
        ):
            full = "the uploads of waiting jobs are too large; see --max-job-uploads"
        else:
            return
        raise Busy(f"there is no room for another background job: {full}")

    def excess(self, jobs: Collection[Job]) -> list[Job]:
        """Return the jobs to delete so that the results of the others keep to the limit.

        It is always the oldest result of the tenant whose results take the most memory, and of
        its clients the one whose results do.
        """
        finished = [job for job in jobs if job.content is not None]
        excess: list[Job] = []
        while sum(job.result_bytes for job in finished) > self.results:
            same = _largest(finished, lambda job: job.principal.tenant.name)
            own = _largest(same, lambda job: job.principal.key)
            oldest = min(own, key=lambda job: job.expires_at)
            finished.remove(oldest)
            excess.append(oldest)
        return excess


def _largest(jobs: Collection[Job], owner: Callable[[Job], str]) -> list[Job]:
    """Return the jobs of the owner whose results take the most memory."""
    used: Counter[str] = Counter()
    for job in jobs:
        used[owner(job)] += job.result_bytes
    [(most, _)] = used.most_common(1)
    return [job for job in jobs if owner(job) == most]


def _upload_bytes(jobs: Collection[Job]) -> int:
    return sum(job.upload_bytes for job in jobs)
