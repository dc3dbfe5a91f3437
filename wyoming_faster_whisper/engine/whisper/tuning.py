"""Beam and batch size for this machine, by how long a usual command takes. Pure.

A measurement is of a moment, and other programs may be busy just then, above all while a
machine boots. So the fastest of several times counts, measurements are repeated while the
server is idle, and one that is clearly slower than an earlier one changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ...models.auto import BUDGET

_LOGGER = logging.getLogger(__name__)

# As Whisper's own. Greedy decoding hears clearly worse and saves a fifth of the decoder's time
# at most, for a step costs the fetching of the weights whatever its width.
BEAM = 5
# A batch must take no more than this share of the time per job to be worth the wait for its
# slowest.
_BATCH_GAIN = 0.95
_BUSY = 1.1  # times the best measurement; a slower one is of a busy machine
_TIMES_ALONE, _TIMES_TOGETHER = 3, 2


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a measurement led to."""

    seconds: float  # that a usual command took with a beam of BEAM
    beam: int
    batch: int  # jobs that are decoded together at most
    again: bool  # it is not the first measurement, right after the start


class Tuning:
    """Chooses beam and batch size, and keeps the choice.

    Args:
        largest_batch: jobs that may be decoded together.
        seconds: decodes a number of usual commands together with a beam; how long it took.
    """

    def __init__(self, largest_batch: int, seconds: Callable[[int, int], float]) -> None:
        self.beam = BEAM  # until measured we hope that it can be afforded
        # Until measured, or where a speaker came meanwhile: two have been faster everywhere.
        self.batch = min(2, largest_batch)
        self._largest_batch = largest_batch
        self._seconds = seconds
        self._best: float | None = None  # seconds
        self._batch_measured = False

    def measure(self, needed: Callable[[], bool]) -> Tuned | None:
        """Decode usual commands and choose.

        A machine on which one takes longer than the silence people leave decodes greedily.
        Batches grow for as long as the time per command falls.

        Args:
            needed: asked before every decode; where it is true the measurement ends.

        Returns:
            None if nothing was chosen: the model was needed, or the machine is busy.
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
        """The batch size that is fastest per command; None if the model was needed.

        Args:
            alone: seconds of a command with a beam of BEAM.
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
                _LOGGER.debug("%d commands together cannot be decoded: %s", larger, error)
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
        """The shortest of several decodes, in seconds; None if the model was needed."""
        taken: list[float] = []
        for _ in range(times):
            if needed():
                return None
            taken.append(self._seconds(beam, commands))
        return min(taken)
