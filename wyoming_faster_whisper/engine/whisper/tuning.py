"""Beam width and batch size for this machine, from the time of a typical command. Pure.

Other programs may be busy during a measurement, above all while the machine boots. So the
fastest of several runs counts, measurements are repeated while the server is idle, and a
measurement that is clearly slower than an earlier one changes nothing.
"""

from __future__ import annotations

import logging
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


@dataclass(frozen=True, slots=True)
class Tuned:
    """Result of a measurement."""

    seconds: float  # best time of a typical command with a beam width of BEAM
    beam: int  # chosen beam width
    batch: int  # chosen maximum number of jobs per batch
    again: bool  # False for the first measurement, right after the start


class Tuning:
    """Measured choice of beam width and batch size. Call it from the worker's threads only.

    Args:
        largest_batch: upper limit for the batch size.
        seconds: takes a beam width and a batch size, decodes one batch of typical commands, and
            returns the seconds that it took.
    """

    def __init__(self, largest_batch: int, seconds: Callable[[int, int], float]) -> None:
        self.beam = BEAM  # until the first measurement
        # Until the first complete measurement. A batch of two was faster than two single
        # decodes on every machine tested.
        self.batch = min(2, largest_batch)
        self._largest_batch = largest_batch
        self._seconds = seconds
        self._best: float | None = None  # seconds
        self._batch_measured = False

    def measure(self, needed: Callable[[], bool]) -> Tuned | None:
        """Decode typical commands, and choose beam width and batch size by their time.

        If a command takes longer than the silence before an answer (twice BUDGET), decoding is
        greedy. The batch size grows for as long as the time per command falls.

        Args:
            needed: returns True when a speaker needs the model. It is called before every
                decode, and the measurement ends when it is true.

        Returns:
            None if nothing was chosen, because the model was needed or the machine is busy.
        """
        alone = self._fastest(_TIMES_ALONE, BEAM, 1, needed)
        if alone is None:
            return None
        first = self._best is None
        if self._best is not None and self._batch_measured and alone > _BUSY * self._best:
            return None
        self._best = alone if self._best is None else min(alone, self._best)
        self.beam = BEAM if self._best <= 2 * BUDGET else 1
        if (batch := self._best_batch(alone, needed)) is not None:
            self.batch = batch
            self._batch_measured = True
        return Tuned(self._best, self.beam, self.batch, again=not first)

    def _best_batch(self, alone: float, needed: Callable[[], bool]) -> int | None:
        """Return the batch size with the least time per command; None if the model was needed.

        Args:
            alone: seconds that one command takes with a beam width of BEAM.
        """
        each: float | None = alone
        if self.beam != BEAM:
            each = self._fastest(_TIMES_TOGETHER, self.beam, 1, needed)
        batch = 1
        while each is not None and batch < self._largest_batch:
            larger = min(2 * batch, self._largest_batch)
            try:
                together = self._fastest(_TIMES_TOGETHER, self.beam, larger, needed)
            except (RuntimeError, MemoryError) as error:
                _LOGGER.debug("a batch of %d commands cannot be decoded: %s", larger, error)
                break
            if together is None:
                return None
            if together / larger > _BATCH_GAIN * each:
                break
            batch, each = larger, together / larger
        return None if each is None else batch

    def _fastest(
        self, times: int, beam: int, commands: int, needed: Callable[[], bool]
    ) -> float | None:
        """Return the seconds of the fastest of several runs; None if the model was needed."""
        taken: list[float] = []
        for _ in range(times):
            if needed():
                return None
            taken.append(self._seconds(beam, commands))
        return min(taken)
