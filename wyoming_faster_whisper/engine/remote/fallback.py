"""Engine that decodes on other machines, and in this process if those cannot.

While a decode server is available, each job goes to one. A job that fails there is decoded here,
if a decoder is free soon. While none is available, this engine is the local one: with its
batches, and as many decodes at the same time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

from ...errors import Busy, ServerError
from ..protocol import DecodeOptions, Engine, Job, Transcript
from ..recognizer import ServedModel, unmet_needs
from .open_inference import RemoteEngine, Withdrawn
from .outcomes import LOCAL

_LOGGER = logging.getLogger(__name__)

_ESSENTIAL = frozenset({"task", "language", "prefix"})
"""Needs without which a text would be wrong; names of options, as in unmet_needs()."""

_LOCAL_TIMEOUT = 5.0  # seconds that a job waits for the local decoder


class FallbackEngine:
    """See the docstring of this file. Blocking, like every Engine.

    Args:
        remote: decodes while a server is available.
        local: decodes the rest.
        model: the local model. It gets no job of which it cannot do what matters.
    """

    def __init__(self, remote: RemoteEngine, local: Engine, model: ServedModel) -> None:
        self._remote = remote
        self._local = local
        self._model = model
        # Jobs that failed on a server; the queue limits the others.
        self._decoders = threading.BoundedSemaphore(local.parallel)

    @property
    def max_batch(self) -> int:
        """See Engine.max_batch. Servers form their own batches."""
        return self._remote.max_batch if self._remote.available else self._local.max_batch

    @property
    def max_long_batch(self) -> int:
        """See Engine.max_long_batch."""
        return self._remote.max_batch if self._remote.available else self._local.max_long_batch

    @property
    def parallel(self) -> int:
        """See Engine.parallel."""
        return self._remote.parallel if self._remote.available else self._local.parallel

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        return self._local.batch_key(job)

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        if not self._unmet(jobs[0]).isdisjoint(_ESSENTIAL):
            return [self._remote.decode([job])[0] for job in jobs]
        # Several jobs were put together while no server was available.
        if len(jobs) > 1 or not self._remote.available:
            return self._decode_here(jobs)
        try:
            return self._remote.decode(jobs)
        except Withdrawn:
            raise
        except ServerError as error:
            _LOGGER.info("%s; decoding here", error)
            # A guess that failed is not worth the wait: the answer decodes it again.
            return self._decode_here(jobs, timeout=0.0 if jobs[0].guess else _LOCAL_TIMEOUT)

    def _decode_here(
        self, jobs: Sequence[Job], *, timeout: float = _LOCAL_TIMEOUT
    ) -> list[Transcript]:
        with self._remote.outcomes.count(LOCAL, len(jobs)):
            if not self._decoders.acquire(timeout=timeout):
                raise Busy("no decode server answered, and this server is busy; try again later")
            try:
                return self._local.decode([self._fitting(job) for job in jobs])
            finally:
                self._decoders.release()

    def withdraw(self, job: Job) -> None:
        """See Withdrawable.withdraw."""
        self._remote.withdraw(job)

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """See Engine.warm_up."""
        self._local.warm_up(needed)

    def unload(self) -> None:
        """See Engine.unload."""
        self._local.unload()

    def load(self) -> None:
        """See Engine.load."""
        self._local.load()

    def _unmet(self, job: Job) -> set[str]:
        return set(unmet_needs(job, self._model))

    def _fitting(self, job: Job) -> Job:
        """Return the job without the wishes that the local model cannot serve."""
        unmet = self._unmet(job)
        if not unmet:
            return job
        usual: dict[str, Any] = {
            field.name: field.default for field in fields(DecodeOptions) if field.name in unmet
        }
        score_end = job.score_end and "score_end" not in unmet
        return replace(job, options=replace(job.options, **usual), score_end=score_end)
