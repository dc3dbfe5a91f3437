"""Whisper engine: a model, the pipeline over it, and the settings measured on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from ...audio.pcm import SAMPLE_RATE
from ...errors import EngineError
from ..protocol import DecodeOptions, Job, Transcript
from .acoustic_model import AcousticModel, Encoding
from .calibration.values import Calibrations
from .pipeline import WhisperPipeline
from .tuning import Limits, Tuned, Tuning

_USUAL_SAMPLES, _USUAL_TOKENS = 3 * SAMPLE_RATE, 12  # length of a typical command
_LONG_SAMPLES, _LONG_TOKENS = 30 * SAMPLE_RATE, 120  # of a full segment of read speech


class WhisperModel(AcousticModel, Protocol):
    """Acoustic model whose weights can be freed, and whose decoder can be timed."""

    @property
    def parallel(self) -> int:
        """Maximum number of batches that are decoded at the same time."""
        ...

    def time_decoder(
        self, encoding: Encoding, prompts: Sequence[list[int]], beam: int, count: int
    ) -> None:
        """Run the decoder for a fixed number of tokens per clip, to measure its time.

        The audio must have no influence on the time.
        """
        ...

    def unload(self) -> None:
        """Free the weights, if load() can restore them."""
        ...

    def load(self) -> None:
        """Restore the weights.

        Raises:
            ModelError: the weights are no longer on disk, or there is not enough memory.
        """
        ...


class WhisperEngine:
    """Engine that decodes with a loaded Whisper model. Blocking, like every Engine.

    Args:
        model: used by this engine only.
        calibrations: the values fitted for the model; None = those for an unknown model.
        full_window: always use the 30 s window that the model was trained on.
        limits: of the batch sizes, which warm_up() chooses.
        measured: called by warm_up() with the measured time and the chosen settings.
    """

    def __init__(
        self,
        model: WhisperModel,
        *,
        calibrations: Calibrations | None = None,
        full_window: bool = False,
        limits: Limits | None = None,
        measured: Callable[[Tuned], None] = lambda choice: None,
    ) -> None:
        self.parallel: int = model.parallel
        self.model = model
        self._pipeline = WhisperPipeline(
            model, calibrations, full_window=full_window, clock=time.monotonic
        )
        self._measured = measured
        self._tuning = Tuning(
            limits or Limits(),
            partial(self._time, _USUAL_SAMPLES, _USUAL_TOKENS),
            partial(self._time, _LONG_SAMPLES, _LONG_TOKENS),
            alone=model.parallel == 1,
        )

    @property
    def max_batch(self) -> int:
        """See Engine.max_batch."""
        return self._tuning.batch

    @property
    def max_long_batch(self) -> int:
        """See Engine.max_long_batch."""
        return self._tuning.long_batch

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        return self._pipeline.batch_key(job)

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        try:
            return self._pipeline.decode(jobs, self._tuning.beam)
        except RuntimeError as error:  # the only exception type of an AcousticModel
            raise EngineError(f"the model failed on this audio: {error}") from error

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """See Engine.warm_up. tuning.py chooses beam width and batch size by the measured time.

        The first decode allocates all memory and starts all threads.
        """
        if (choice := self._tuning.measure(needed)) is not None:
            self._measured(choice)

    def unload(self) -> None:
        """See Engine.unload."""
        self.model.unload()

    def load(self) -> None:
        """See Engine.load."""
        self.model.load()

    def _time(self, samples: int, tokens: int, beam: int, count: int) -> float:
        """Return the seconds that a batch of jobs of this size takes."""
        job = Job(np.zeros(samples, np.float32), DecodeOptions(language="en"))
        started = time.perf_counter()
        features = [self.model.features(job.samples)] * count
        encoding = self.model.encode(features, self._pipeline.encoder.frames(job))
        prompts = [self.model.tokenizer.prompt(job.options, "en")] * count
        self.model.time_decoder(encoding, prompts, beam, tokens)
        return time.perf_counter() - started
