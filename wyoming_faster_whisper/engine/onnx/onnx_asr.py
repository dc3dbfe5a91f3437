"""Engine for the models of onnx-asr; the only file that imports it.

onnx-asr decodes greedily and takes no prompt. Names are corrected in the text (biasing/).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ...audio.pcm import SAMPLE_RATE, Samples
from ...errors import EngineError, ModelError, install_command
from ...hardware import release_memory
from ...models.onnx_asr import Decoding
from ..protocol import DecodeOptions, Job, Transcript
from ..whisper.calibration.values import Calibrations
from ..whisper.prompting import JobBiasing
from ..whisper.repetition import has_loop, repeated_tail, shortened
from ..whisper.tuning import Limits, Tuned, Tuning
from .hypothesis import Tokens, to_tokens, words_of_tokens
from .runtime import Runtime, first_line, session_options

_LOGGER = logging.getLogger(__name__)

_USUAL_SAMPLES = 3 * SAMPLE_RATE  # length of a typical command
_LONG_SAMPLES = 30 * SAMPLE_RATE  # of a full segment of read speech
_FEWEST = SAMPLE_RATE // 2  # samples; the graphs of some families fail on less


def load_onnx_asr(kind: str, directory: Path, quantisation: str | None, runtime: Runtime) -> Any:
    """Load a model. Blocking.

    Args:
        kind: name of the family, as in onnx_asr.load_model().
        directory: folder with the files.
        quantisation: as in onnx_asr.load_model(); None = not quantised.

    Raises:
        ModelError: the model cannot be loaded, or the extra is not installed.
    """
    try:
        import onnx_asr
    except ImportError:
        raise ModelError(
            f"models of onnx-asr need the package onnx-asr: {install_command('onnx')}"
        ) from None
    try:
        model: Any = onnx_asr.load_model(
            kind,
            directory,
            quantization=quantisation,
            sess_options=session_options(runtime),
            providers=[*runtime.providers],
        )
    except Exception as error:  # onnx-asr and ONNX Runtime raise types with no common base
        raise ModelError(
            f"{directory} cannot be loaded as {kind}: {type(error).__name__}: {first_line(error)}"
        ) from error
    for part, session in vars(model.asr).items():
        if isinstance(session, onnxruntime.InferenceSession):
            setattr(model.asr, part, _FiniteSession(session, part.strip("_")))
    model = model.with_timestamps()
    _try(model, kind, directory)
    return model


def _try(model: Any, kind: str, directory: Path) -> None:
    """Decode a second of noise: onnx-asr does not compare its files when it loads them.

    Raises:
        ModelError: the model cannot decode.
    """
    noise = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE).astype(np.float32)
    try:
        model.recognize([noise])
    except Exception as error:  # onnx-asr and ONNX Runtime raise types with no common base
        files = ", ".join(sorted(path.name for path in directory.iterdir())[:8])
        raise ModelError(
            f"{directory} does not decode as {kind} ({type(error).__name__}: "
            f"{first_line(error)}); its files must belong to one model of this kind: {files}"
        ) from error


class _FiniteSession:
    """A session of ONNX Runtime whose outputs must be numbers.

    argmax() over NaNs returns index 0, so a broken graph would give an arbitrary text, or an
    empty one.
    """

    def __init__(self, session: Any, part: str) -> None:
        self._session = session
        self._part = part

    def run(self, *args: Any) -> Any:
        results = self._session.run(*args)
        for result in results:
            if result.dtype.kind == "f" and np.isnan(result).any():
                raise ValueError(f"the {self._part} computed values that are not numbers")
        return results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class OnnxAsrEngine:
    """Engine that decodes with a model of onnx-asr. Blocking, like every Engine.

    Args:
        load: loads the model; it is called again by load().
        decoding: how the model finds the text.
        language: language of jobs that name none.
        limits: of the batch sizes, which warm_up() chooses.
        measured: called by warm_up() with the measured time and the chosen batch size.

    Raises:
        ModelError: the model cannot be loaded.
    """

    parallel = 1

    def __init__(
        self,
        load: Callable[[], Any],
        *,
        decoding: Decoding,
        language: str,
        limits: Limits,
        measured: Callable[[Tuned], None],
    ) -> None:
        self._load = load
        self._model = load()
        self._decoding = decoding
        self._language = language
        self._calibrations = Calibrations("onnx-asr")
        self._measured = measured
        self._tuning = Tuning(
            limits,
            partial(self._time, _USUAL_SAMPLES),
            partial(self._time, _LONG_SAMPLES),
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
        return job.options

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        results = self._recognize([job.padded_samples for job in jobs], jobs[0].options)
        return [self._transcript(job, result) for job, result in zip(jobs, results, strict=True)]

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """See Engine.warm_up."""
        if (choice := self._tuning.measure(needed)) is not None:
            self._measured(choice)

    def unload(self) -> None:
        """See Engine.unload."""
        self._model = None
        release_memory()

    def load(self) -> None:
        """See Engine.load."""
        self._model = self._load()

    def _time(self, samples: int, beam: int, count: int) -> float:
        """Return the seconds that a batch takes; each job has this number of samples."""
        started = time.perf_counter()
        noise = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
        self._recognize([noise] * count, DecodeOptions(language=self._language))
        return time.perf_counter() - started

    def _recognize(self, clips: Sequence[Samples], options: DecodeOptions) -> list[Tokens]:
        """Decode clips together.

        Raises:
            EngineError: the model failed, or computed values that are not numbers.
        """
        padded = [np.pad(clip, (0, max(0, _FEWEST - len(clip)))) for clip in clips]
        try:
            results = self._model.recognize(padded, **self._wishes(options))
            tokens = [to_tokens(result) for result in results]
        except Exception as error:  # onnx-asr and ONNX Runtime raise types with no common base
            raise EngineError(
                f"the model failed on this audio: {type(error).__name__}: {first_line(error)}"
            ) from error
        if not all(each.finite for each in tokens):
            raise EngineError(
                "the model failed on this audio: it computed values that are not numbers"
            )
        return tokens

    def _wishes(self, options: DecodeOptions) -> dict[str, str]:
        """Return the options of recognize(); families that take none have a fixed language."""
        if self._decoding not in (Decoding.ATTENTION, Decoding.WHISPER):
            return {}
        language = options.language or self._language
        if self._decoding is Decoding.WHISPER:
            return {"language": language}
        to = "en" if options.task == "translate" else language
        return {"language": language, "target_language": to}

    def _transcript(self, job: Job, result: Tokens) -> Transcript:
        language = job.options.language or self._language
        text = self._without_loop(result.text)
        biasing = JobBiasing(job, language, self._calibrations.find(language)[0].names)
        corrected = biasing.correct(text)
        options = job.options
        lead = job.leading_silence / SAMPLE_RATE
        untouched = corrected == result.text
        return Transcript(
            corrected,
            language,
            avg_logprob=result.avg_logprob,
            passes=1,
            verdict="believe" if corrected else "empty",
            provisional=corrected[-1:] not in tuple(".?!…"),
            words=words_of_tokens(result, corrected, lead, job.seconds)
            if options.word_times
            else (),
            token_logprobs=result.token_logprobs if options.token_logprobs and untouched else (),
        )

    def _without_loop(self, text: str) -> str:
        """Return a text; of a loop of an autoregressive decoder only the first round."""
        if self._decoding in (Decoding.CTC, Decoding.TRANSDUCER) or not has_loop(text):
            return text
        repeat = repeated_tail(text)
        return text if repeat is None else shortened(text, repeat, 1)
