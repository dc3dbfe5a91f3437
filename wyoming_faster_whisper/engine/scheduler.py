"""Scheduling policy: the jobs that the model decodes next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from .protocol import Job

# A shorter job that arrives later may overtake a longer one, but only if it arrives within the
# handicap: a command does not wait for a film, and a film waits for a few commands at most.
_PER_SECOND = 0.1  # seconds of handicap per second of audio
_PER_JOB = 2.0  # seconds of handicap per job of the same owner that arrived earlier


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job and its arrival time."""

    job: Job
    since: float  # seconds, on any clock


def next_batch(
    waiting: Sequence[Waiting], max_batch: int, batch_key: Callable[[Job], Hashable]
) -> list[Job]:
    """Choose the next batch; the caller removes it from waiting.

    Finals go before guesses (speculative decodes) and never share a batch with them. Otherwise
    the oldest job goes first. A long job, and each further job of the same owner, has a
    handicap. The handicap does not grow while the job waits, so no job waits for ever.

    Args:
        waiting: the queued jobs, in order of arrival.
        max_batch: maximum number of jobs in the batch, at least 1.
        batch_key: returns the key that all jobs of a batch must share.

    Returns:
        The jobs of the batch, the most urgent first; empty if no job waits.
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
