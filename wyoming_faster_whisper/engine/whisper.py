"""Whisper on CTranslate2: the only file that knows faster-whisper."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import ctranslate2
import faster_whisper
import numpy as np

from ..audio import SAMPLE_RATE
from ..errors import EngineError, ModelError
from .base import DecodeOptions, Job, Transcript

_LOGGER = logging.getLogger(__name__)


class WhisperEngine:
    """One faster-whisper model.

    Args:
        directory: with model.bin and what belongs to it.
        device: cpu, cuda, cuda:N or auto.
        compute_type: CTranslate2's; "default" is int8 on a CPU, float16 on a GPU.
        cpu_threads: that decode one batch; 0 = one per core.

    Raises:
        ModelError: the model or the device cannot be used.
    """

    max_batch = 1

    def __init__(
        self,
        directory: Path,
        *,
        device: str = "cpu",
        compute_type: str = "default",
        cpu_threads: int = 0,
    ) -> None:
        name, _, index = device.partition(":")
        if name == "auto":
            name = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        if compute_type == "default":
            # CTranslate2's own default is the type the file was written in,
            # float16 as a rule, which a CPU would turn into float32.
            compute_type = "float16" if name == "cuda" else "int8"
        try:
            self._model = faster_whisper.WhisperModel(
                str(directory),
                device=name,
                device_index=int(index or 0),
                compute_type=compute_type,
                cpu_threads=cpu_threads_to_use(cpu_threads),
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"the model in {directory} does not load on {device} as {compute_type}: {error}"
            ) from error
        _LOGGER.info("Loaded %s on %s as %s", directory, name, self._model.model.compute_type)

    @property
    def multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        try:
            return [self._decode(job) for job in jobs]
        except RuntimeError as error:  # CTranslate2's only kind
            raise EngineError(f"the model failed on this audio: {error}") from error

    def warm_up(self) -> None:
        """Decode a second of silence: every allocation and thread is there then."""
        silence = np.zeros(SAMPLE_RATE, np.float32)
        self._decode(Job(silence, DecodeOptions(language="en", beam_size=1)))

    def _decode(self, job: Job) -> Transcript:
        options = job.options
        segments, info = self._model.transcribe(
            job.samples,
            language=options.language if self.multilingual else "en",
            task=options.task,
            beam_size=options.beam_size,
            initial_prompt=options.prompt,
        )
        decoded = list(segments)
        return Transcript(
            text=" ".join(segment.text.strip() for segment in decoded).strip(),
            language=info.language,
            logprob=float(np.mean([s.avg_logprob for s in decoded])) if decoded else 0.0,
        )


def cpu_threads_to_use(wanted: int) -> int:
    """Never more threads than cores that we may use: they would only wait for each other."""
    cores = len(os.sched_getaffinity(0))
    return min(wanted, cores) if wanted > 0 else cores
