"""Which jobs go to the model next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from .protocol import Job

# A job may be overtaken by shorter ones that come later, but only by so much later: a command
# does not wait behind a film, and a film waits for no more than a few commands.
_PER_SECOND = 0.1  # seconds of handicap per second of sound
_PER_JOB = 2.0  # seconds of handicap per job of the same owner ahead of it


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job, and when it came."""

    job: Job
    since: float  # seconds, on any clock


def next_batch(
    waiting: Sequence[Waiting], max_batch: int, batch_key: Callable[[Job], Hashable]
) -> list[Job]:
    """Choose the next batch; the caller removes it from waiting.

    Finals go before guesses, and never wait for one in their batch. Among equals the
    oldest goes first; long jobs, and the second and third of one owner, have a handicap
    that grows no more while they wait, so that everybody's turn comes.

    Args:
        waiting: in order of arrival.
        max_batch: at least 1.
        batch_key: of a job; only jobs of one kind go together.
    """
    ahead: Counter[tuple[bool, Hashable]] = Counter()
    ranks: list[tuple[bool, float]] = []
    for one in waiting:
        job = one.job
        handicap = _PER_SECOND * job.seconds + _PER_JOB * ahead[job.guess, job.owner]
        ranks.append((job.guess, one.since + handicap))
        if job.owner is not None:
            ahead[job.guess, job.owner] += 1
    order = sorted(range(len(waiting)), key=ranks.__getitem__)  # stable: arrival order stays
    jobs = [waiting[at].job for at in order]
    if not jobs:
        return []
    first = jobs[0]
    key = batch_key(first)
    return [job for job in jobs if job.guess == first.guess and batch_key(job) == key][:max_batch]
