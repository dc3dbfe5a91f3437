"""Limits of background jobs: room for new ones, and results to delete early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from ....errors import Busy, counted
from ....principal import Principal
from ..api_errors import ApiError
from .job import Job


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Limits for the jobs of all clients. One client may use half of the first two."""

    number: int = 256  # jobs, from the upload until they are deleted
    uploads: int = 1024 * 1024 * 1024  # bytes of the uploads of jobs that have not ended
    results: int = 64 * 1024 * 1024  # bytes of the results
    running: int = 4  # jobs of one client that run at the same time; the others wait
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
        own = [job for job in jobs if job.principal.key == principal.key]
        if len(jobs) >= self.number or len(own) >= max(1, self.number // 2):
            full = f"{counted(len(own), 'job')} of this client are kept; see --max-jobs"
        elif _upload_bytes(jobs) + size > self.uploads or (
            # Half of the limit may be less than one upload, so one is always allowed.
            (waiting := _upload_bytes(own)) and waiting + size > self.uploads // 2
        ):
            full = "the uploads of waiting jobs are too large; see --max-job-uploads"
        else:
            return
        raise Busy(f"there is no room for another background job: {full}")

    def excess(self, jobs: Collection[Job]) -> list[Job]:
        """Return the jobs to delete so that the results of the others keep to the limit.

        It is always the oldest result of the client whose results take the most memory.
        """
        finished = [job for job in jobs if job.content is not None]
        excess: list[Job] = []
        used: Counter[str] = Counter()
        for job in finished:
            used[job.principal.key] += job.result_bytes
        while used.total() > self.results:
            [(most, _)] = used.most_common(1)
            own = [job for job in finished if job.principal.key == most]
            oldest = min(own, key=lambda job: job.expires_at)
            finished.remove(oldest)
            used[most] -= oldest.result_bytes
            excess.append(oldest)
        return excess


def _upload_bytes(jobs: Collection[Job]) -> int:
    return sum(job.upload_bytes for job in jobs)
