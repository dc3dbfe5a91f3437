"""Which jobs go to the model next. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Job


def next_batch(waiting: Sequence[Job], max_batch: int) -> list[Job]:
    """Choose the next batch; the caller removes it from waiting.

    Finals go before guesses, then in the order of arrival. The first job
    chosen sets the options; others with the same fill the batch.

    Args:
        waiting: in order of arrival.
        max_batch: at least 1.
    """
    ranked = sorted(waiting, key=lambda job: job.guess)  # stable: arrival order stays
    if not ranked:
        return []
    first = ranked[0]
    return [job for job in ranked if job.options == first.options][:max_batch]
