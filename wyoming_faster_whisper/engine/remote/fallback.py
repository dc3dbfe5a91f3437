"""Engine that decodes on other machines, and in this process if those cannot.

While a decode server is available, each job goes to one. A job that fails there is decoded here,
if a decoder is free soon. While none is available, this engine is the local one: with its
batches, and as many decodes at the same time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Hashable, Sequence

from ...errors import Busy, ServerError
from ..protocol import Engine, Job, Transcript
from .open_inference import RemoteEngine, Withdrawn

_LOGGER = logging.getLogger(__name__)

_PATIENCE = 5.0  # seconds that a job waits for the local decoder


class FallbackEngine:
    """See the docstring of this file. Blocking, like every Engine.

    Args:
        remote: decodes while a server is available.
        local: decodes the rest.
        languages: those that the local model knows.
    """

    def __init__(self, remote: RemoteEngine, local: Engine, languages: Collection[str]) -> None:
        self._remote = remote
        self._local = local
        self._languages = frozenset(languages)
        # Jobs that failed on a server; the queue limits the others.
        self._decoders = threading.BoundedSemaphore(local.parallel)

    @property
    def max_batch(self) -> int:
        """See Engine.max_batch. Servers form their own batches."""
        return self._remote.max_batch if self._remote.available else self._local.max_batch

    @property
    def parallel(self) -> int:
        """See Engine.parallel."""
        return self._remote.parallel if self._remote.available else self._local.parallel

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        return self._local.batch_key(job)

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        if len(jobs) > 1:  # chosen while no server was available
            return self._decode_here(jobs)
        try:
            return self._remote.decode(jobs)
        except Withdrawn:
            raise
        except ServerError as error:
            if not self._knows(jobs[0]):
                raise
            if self._remote.available:
                _LOGGER.info("%s; decoding here", error)
            # A guess that failed is not worth the wait: the answer decodes it again.
            patience = 0.0 if jobs[0].guess else _PATIENCE
            return self._decode_here(jobs, patience=patience)

    def _decode_here(
        self, jobs: Sequence[Job], *, patience: float = _PATIENCE
    ) -> list[Transcript]:
        if not self._decoders.acquire(timeout=patience):
            raise Busy("no decode server answered, and this server is busy; try again later")
        try:
            return self._local.decode(jobs)
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

    def _knows(self, job: Job) -> bool:
        language = job.options.language
        return language is None or language in self._languages
