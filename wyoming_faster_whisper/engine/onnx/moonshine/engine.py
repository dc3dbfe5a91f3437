"""Moonshine engine: from a job to a transcript.

1. Encode the audio; the encoder has no window, so the cost follows the length.
2. Find an n-best list by beam search (decoder.py), and prefer a hypothesis without
   out-of-vocabulary words (engine/whisper/rescoring.py).
3. Decode an unlikely text once more from slower audio (speed perturbation), and rescore the
   hypotheses of both passes with both encodings.
4. Reject what is not speech (judgement.py), and shorten a loop.
5. If something resembles a name, let the decoder score texts with the name, and correct near
   misses (engine/whisper/prompting.py, biasing/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ....audio.pcm import SAMPLE_RATE, slow_down
from ....biasing.hypotheses import choose_rewrite
from ....errors import EngineError
from ....hardware import release_memory
from ...protocol import Job, TokenLogprob, Transcript
from ...whisper.calibration.values import Calibration, Calibrations
from ...whisper.hallucination import Decoded
from ...whisper.prompting import JobBiasing, oov_counter
from ...whisper.rescoring import hypotheses_of, prefer_in_vocabulary, rescore
from ...whisper.tuning import BEAM, Limits, Tuned, Tuning
from ..runtime import Array
from .decoder import MoonshineDecoder
from .judgement import Judgement, Thresholds, judge, unfinished, without_loop

_SPEED = 0.9  # of the audio in a second pass
_USUAL_SAMPLES, _USUAL_TOKENS = 3 * SAMPLE_RATE, 12  # length of a typical command


@dataclass(slots=True)
class _Clip:
    """One job while it is decoded."""

    job: Job
    language: str
    encoding: Array
    beam: int

    @property
    def seconds(self) -> float:
        return self.job.seconds + self.job.leading_silence / SAMPLE_RATE


class MoonshineEngine:
    """Engine that decodes with a loaded Moonshine model. Blocking, like every Engine.

    Args:
        load: loads the model; it is called again by load().
        language: Whisper's code of the model's only language.
        thresholds: those of the judgement.
        parallel: decodes that run at the same time.
        measured: called by warm_up() with the measured time and the chosen beam.

    Raises:
        ModelError: the model cannot be loaded.
    """

    max_batch = max_long_batch = (
        1  # the encoder has no mask, so clips of different lengths cannot share a pass
    )

    def __init__(
        self,
        load: Callable[[], MoonshineDecoder],
        *,
        language: str,
        thresholds: Thresholds,
        parallel: int = 1,
        measured: Callable[[Tuned], None] = lambda choice: None,
    ) -> None:
        self.parallel = parallel
        self._load = load
        self._model: MoonshineDecoder | None = load()
        self._language = language
        self.thresholds = thresholds
        self._calibration: Calibration = Calibrations("moonshine").find(language)[0]
        self._measured = measured
        self._tuning = Tuning(Limits(), self._usual_command)

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        return job.options, job.prefix

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        try:
            return [self._decode(job) for job in jobs]
        except RuntimeError as error:
            raise EngineError(f"the model failed on this audio: {error}") from error

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """See Engine.warm_up. The beam is as wide as Whisper's, or 1 on a slow machine."""
        if (choice := self._tuning.measure(needed)) is not None:
            self._measured(choice)

    def unload(self) -> None:
        """See Engine.unload."""
        self._model = None
        release_memory()

    def load(self) -> None:
        """See Engine.load."""
        self._model = self._load()

    @property
    def model(self) -> MoonshineDecoder:
        assert self._model is not None, "decoded while unloaded"
        return self._model

    def _usual_command(self, beam: int, count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            self.model.time(np.zeros(_USUAL_SAMPLES, np.float32), beam, _USUAL_TOKENS)
        return time.perf_counter() - started

    def _decode(self, job: Job) -> Transcript:
        beam = job.options.beam_size or self._tuning.beam
        encoding = self.model.encode(job.padded_samples)
        clip = _Clip(job, self._language, encoding, beam)
        decoded = self._generate(clip, encoding, clip.seconds)
        passes, judgement = 1, judge(decoded, job, self.thresholds)
        doubtful = judgement is Judgement.DOUBTFUL
        if doubtful and not job.quick:
            decoded = self._second_pass(clip, decoded)
            passes += 1
        text = "" if judgement is Judgement.NO_SPEECH else without_loop(decoded)
        if not text.startswith(job.prefix):
            text = job.prefix  # text that was sent is never retracted
        text, biased = self._biased(clip, text, decoded)
        return Transcript(
            text,
            self._language,
            avg_logprob=decoded.avg_logprob,
            no_speech_prob=decoded.no_speech_prob,
            passes=passes + biased,
            verdict=judgement.value,
            provisional=unfinished(decoded, self.thresholds) or (doubtful and job.quick),
            tokens=tuple(self.model.vocabulary.encode(text)),
            token_logprobs=self._token_logprobs(clip, text),
        )

    def _generate(self, clip: _Clip, encoding: Array, seconds: float) -> Decoded:
        decoded = self.model.generate(encoding, clip.job.prefix, clip.beam, seconds)
        count = oov_counter(clip.job.tenant.name, clip.job.options, clip.language)
        return prefer_in_vocabulary(decoded, count, self._calibration.rescoring)

    def _second_pass(self, clip: _Clip, first: Decoded) -> Decoded:
        """Decode slower audio, and return the hypotheses of both passes, rescored."""
        slower = self.model.encode(slow_down(clip.job.padded_samples, _SPEED))
        clip.beam = clip.job.options.beam_size or BEAM
        second = self._generate(clip, slower, clip.seconds / _SPEED)
        hypotheses = hypotheses_of(first, second)
        if len(hypotheses) < 2:
            return first
        scores: dict[str, list[float]] = {text: [] for text in hypotheses}
        for encoding in (clip.encoding, slower):
            for text, tokens in zip(
                hypotheses, self.model.score(encoding, hypotheses), strict=True
            ):
                scores[text].append(sum(tokens))
        count = oov_counter(clip.job.tenant.name, clip.job.options, clip.language)
        return rescore(first, scores, count, self._calibration.rescoring)

    def _biased(self, clip: _Clip, text: str, decoded: Decoded) -> tuple[str, int]:
        """Choose between a text and texts with a name, and correct near misses of names.

        Returns:
            The text, and the number of passes that it took: 0 or 1.
        """
        biasing = JobBiasing(clip.job, clip.language, self._calibration.names)
        hypotheses = (text, *decoded.alternatives) if text else ()
        names = biasing.similar_names(hypotheses)
        if not names:
            return biasing.correct(text), 0
        biased: tuple[str, ...] = ()
        if words := biasing.allowed_words(hypotheses, names):
            found = self.model.generate(
                clip.encoding,
                clip.job.prefix,
                clip.beam,
                clip.seconds,
                allowed=self.model.vocabulary.spellings(words),
            )
            biased = (found.text, *found.alternatives)
        rewrites = biasing.rewrites(hypotheses, biased)
        if rewrites:
            texts = [text, *(rewrite.text for rewrite in rewrites)]
            own, *scores = map(sum, self.model.score(clip.encoding, texts))
            own -= self.thresholds.name_bonus
            chosen = choose_rewrite(rewrites, scores, unbiased_score=own)
            text = chosen.text if chosen else text
        return biasing.correct(text), 1

    def _token_logprobs(self, clip: _Clip, text: str) -> tuple[TokenLogprob, ...]:
        if not clip.job.options.token_logprobs or not text:
            return ()
        vocabulary = self.model.vocabulary
        pieces = [vocabulary.piece(token) for token in vocabulary.encode(text)]
        [logprobs] = self.model.score(clip.encoding, [text])
        return tuple(
            TokenLogprob(piece.decode(errors="replace"), piece, logprob)
            for piece, logprob in zip(pieces, logprobs, strict=False)
        )
