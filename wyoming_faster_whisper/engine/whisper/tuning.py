"""Beam width and batch size for this machine, from the time of a typical command. Pure.

Other programs may be busy during a measurement, above all while the machine boots. So the
fastest of several runs counts, measurements are repeated while the server is idle, and a
measurement that is clearly slower than an earlier one changes nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from ...models.auto import BUDGET

_LOGGER = logging.getLogger(__name__)

# The beam width of Whisper itself. Greedy decoding is clearly less accurate and saves at most a
# fifth of the decoder's time, because a step has to fetch all the weights at any width.
BEAM = 5
# A larger batch must take at most this share of the time per job. Otherwise it is not worth
# making all its jobs wait for the slowest.
_BATCH_GAIN = 0.95
_BUSY = 1.1  # times the best measurement; a slower one means that the machine is busy
_TIMES_ALONE, _TIMES_TOGETHER = 3, 2
_SLOW = 2.0  # seconds; a job that takes longer is not worth more measurements, nor a batch


@dataclass(frozen=True, slots=True)
class Tuned:
    """Result of a measurement."""

    seconds: float  # best time of a typical command with a beam width of BEAM
    beam: int  # chosen beam width
    batch: int  # chosen maximum number of commands per batch
    again: bool  # False for the first measurement, right after the start
    long_batch: int = 0  # the same for jobs of up to 30 s; 0 = not measured yet


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the batch sizes that a measurement may choose."""

    largest: int = 1  # jobs
    more_seconds: float = 0.25  # that a batch may take longer than one of its jobs alone
    # Returns False if there is too little memory to try a larger batch than the last.
    has_room: Callable[[], bool] = lambda: True
    # Jobs per batch of an earlier start, which hold until they are measured again; 0 = unknown.
    commands: int = 0
    long: int = 0


class Tuning:
    """Measured choice of beam width and batch sizes. Call it from the worker's threads only.

    Args:
        limits: of the batch sizes.
        seconds: takes a beam width and a batch size, decodes one batch of typical commands, and
            returns the seconds that it took.
        long_seconds: the same with jobs of 30 s; None = batches of them are as large as those of
            commands.
        alone: batches of long jobs keep commands waiting, because there is only one decoder.
    """

    def __init__(
        self,
        limits: Limits,
        seconds: Callable[[int, int], float],
        long_seconds: Callable[[int, int], float] | None = None,
        *,
        alone: bool = True,
    ) -> None:
        self.beam = BEAM  # until the first measurement
        # Until the first complete measurement. A batch of two was faster than two single
        # decodes on every machine tested.
        self.batch = min(limits.commands or 2, limits.largest)
        self._long_batch = min(limits.long, limits.largest)
        self._limits = limits
        self._seconds = seconds
        self._long_seconds = long_seconds
        self._long_ceiling = limits.more_seconds if alone else math.inf
        self._best: float | None = None  # seconds
        self._batch_measured = False
        self._long_measured = long_seconds is None

    @property
    def long_batch(self) -> int:
        """Maximum number of long jobs per batch."""
        return self._long_batch or self.batch

    def measure(self, needed: Callable[[], bool]) -> Tuned | None:
        """Decode typical commands, and choose beam width and batch sizes by their time.

        If a command takes longer than the silence before an answer (twice BUDGET), decoding is
        greedy. The batch size grows for as long as the time per command falls, the batch takes
        not much longer than a command alone, and memory is left. Batches of long jobs are
        measured once, after the first measurement: it takes seconds, and the start need not wait
        for it.

        Args:
            needed: returns True when a speaker needs the model. It is called before every
                decode, and the measurement ends when it is true.

        Returns:
            None if nothing was chosen, because the model was needed or the machine is busy.
        """
        alone = self._fastest(self._seconds, _TIMES_ALONE, BEAM, 1, needed)
        if alone is None:
            return None
        first = self._best is None
        if (
            self._best is not None
            and self._batch_measured
            and self._long_measured
            and alone > _BUSY * self._best
        ):
            return None
        self._best = alone if self._best is None else min(alone, self._best)
        self.beam = BEAM if self._best <= 2 * BUDGET else 1
        if (batch := self._largest(self._seconds, self._limits.more_seconds, needed)) is not None:
            self.batch = batch
            self._batch_measured = True
        if not first and not self._long_measured and self._long_seconds is not None:
            long_batch = self._largest(self._long_seconds, self._long_ceiling, needed)
            if long_batch is not None:
                self._long_batch = long_batch
                self._long_measured = True
        return Tuned(self._best, self.beam, self.batch, not first, self._long_batch)

    def _largest(
        self,
        seconds: Callable[[int, int], float],
        ceiling: float,
        needed: Callable[[], bool],
    ) -> int | None:
        """Return the batch size with the least time per job; None if the model was needed.

        Args:
            seconds: decodes a batch.
            ceiling: seconds that a batch may take longer than a job alone.
        """
        if self._limits.largest == 1:
            return 1
        each = alone = self._fastest(seconds, _TIMES_TOGETHER, self.beam, 1, needed)
        if alone is not None and alone > _SLOW:
            return 1
        batch = 1
        while (
            each is not None
            and alone is not None
            and batch < self._limits.largest
            and self._limits.has_room()
        ):
            larger = min(2 * batch, self._limits.largest)
            try:
                together = self._fastest(seconds, _TIMES_TOGETHER, self.beam, larger, needed)
            except (RuntimeError, MemoryError) as error:
                _LOGGER.debug("a batch of %d jobs cannot be decoded: %s", larger, error)
                break
            if together is None:
                return None
            if together / larger > _BATCH_GAIN * each or together - alone > ceiling:
                break
            batch, each = larger, together / larger
        return None if each is None else batch

    @staticmethod
    def _fastest(
        seconds: Callable[[int, int], float],
        times: int,
        beam: int,
        jobs: int,
        needed: Callable[[], bool],
    ) -> float | None:
        """Return the seconds of the fastest of several runs; None if the model was needed."""
        taken: list[float] = []
        for _ in range(times):
            if needed():
                return None
            taken.append(seconds(beam, jobs))
        return min(taken)
