"""Whisper pipeline: one decode, from samples to text.

1. Compute the spectrogram, and encode it in a window as long as the clip needs (window.py).
2. Decode it by beam search, and prefer a hypothesis without out-of-vocabulary words
   (rescoring.py).
3. If the text fails the hallucination check (hallucination.py) or leaves speech out
   (coverage.py), run a second pass over a longer window.
4. If the text resembles names, run a biased decode, and let the decoder score the texts with
   and without a name (prompting.py).

Jobs that need the same window are decoded as a batch: a decoder step spends most of its time
reading the weights from memory, which takes the same time for a batch as for a single job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...audio.pcm import SAMPLE_RATE, slow_down
from ...biasing.hypotheses import choose_rewrite
from ...errors import EngineError
from ...hardware import release_memory
from ...speech.turn_classifier import EndOfTextScores
from ..protocol import DecodeOptions, Job, Transcript
from .coverage import Gap, Span, gaps, insert, remove_loops, sparse
from .ctranslate2 import CTranslate2Whisper, Encoding, Weights
from .hallucination import (
    Decoded,
    Verdict,
    fragile,
    has_words,
    judge_hypothesis,
    unfinished,
)
from .prompting import JobBiasing, oov_counter
from .rescoring import hypotheses_of, prefer_in_vocabulary, rescore
from .spectrogram import Features
from .token_budget import token_budget
from .tuning import BEAM, Tuned, Tuning
from .window import FULL_FRAMES, FULL_SECONDS, window_frames

_USUAL_SAMPLES, _USUAL_TOKENS = 3 * SAMPLE_RATE, 12  # length of a typical command

SPEED = 0.9
"""Playback speed of the audio in the second pass over an unlikely text."""

# Speech that a text leaves out is decoded by itself.
_MARGIN = 0.2  # seconds of audio to add on both sides
_LARGEST_PART = 0.8  # share of the clip; a larger part is not decoded again
# Mean log-probability; a less probable text is not inserted. Whisper's own threshold
# (openai/whisper: transcribe.py, logprob_threshold).
_LEAST_LOGPROB = -1.0


@dataclass(frozen=True, slots=True)
class _Input:
    """Input of the decoder for one job, the same in every pass."""

    job: Job
    language: str
    language_probability: float  # 0 to 1
    prompt: list[int]  # tokens; ends with those of the job's prefix
    features: Features

    @property
    def seconds(self) -> float:
        """Length of the model's input in seconds, with the leading silence."""
        return self.job.seconds + self.job.leading_silence / SAMPLE_RATE

    @property
    def speech(self) -> list[Span]:
        """Stretches in which the VAD found speech, in seconds of the model's input."""
        lead = self.job.leading_silence
        return [((a + lead) / SAMPLE_RATE, (b + lead) / SAMPLE_RATE) for a, b in self.job.speech]

    def prompt_without_prefix(self, model: CTranslate2Whisper) -> list[int]:
        """Return the prompt without the tokens of the job's prefix."""
        return model.prompt(self.job.options, self.language)


@dataclass(frozen=True, slots=True)
class _Pass:
    """Result of one pass."""

    decoded: Decoded
    encoding: Encoding | None = None
    gaps: tuple[Gap, ...] = ()  # speech that the text leaves out
    looped: bool = False  # the decoder exhausted its budget or looped


class WhisperEngine:
    """Engine that decodes with a loaded Whisper model. Blocking, like every Engine.

    Args:
        weights: from load_model().
        directory: folder that the model was loaded from.
        tokenizer: path of the tokenizer.json; None = the one in directory.
        size: size of the model, from models.size_of().
        full_window: always use the 30 s window that the model was trained on.
        takes_prompt: False for distilled models, which are less accurate with a prompt.
        largest_batch: upper limit for the batch size; warm_up() chooses the fastest size.
        reload: loads the weights again after unload(); None = never unload them.
        measured: called by warm_up() with the measured time and the chosen settings.

    Raises:
        ModelError: the tokenizer is missing or damaged.
    """

    def __init__(
        self,
        weights: Weights,
        directory: Path,
        *,
        tokenizer: Path | None = None,
        size: str = "",
        full_window: bool = False,
        takes_prompt: bool = True,
        largest_batch: int = 1,
        reload: Callable[[], Weights] | None = None,
        measured: Callable[[Tuned], None] = lambda choice: None,
    ) -> None:
        self.parallel: int = weights.num_workers
        self.directory = directory
        self.model = CTranslate2Whisper(
            weights, tokenizer or directory / "tokenizer.json", takes_prompt=takes_prompt
        )
        self._size = size
        self._full_window = full_window
        self._reload = reload
        self._measured = measured
        self._tuning = Tuning(largest_batch, self._usual_commands)

    @property
    def max_batch(self) -> int:
        """See Engine.max_batch."""
        return self._tuning.batch

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        return job.options, self._frames(job), job.prefix

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        try:
            return self._decode(jobs)
        except RuntimeError as error:  # the only exception type of CTranslate2
            raise EngineError(f"the model failed on this audio: {error}") from error

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """See Engine.warm_up. tuning.py chooses beam width and batch size by the measured time.

        The first decode allocates all memory and starts all threads.
        """
        if (choice := self._tuning.measure(needed)) is not None:
            self._measured(choice)
        if not needed():
            # Load the word list now and not during the first decode.
            oov_counter(DecodeOptions(), "en")

    def unload(self) -> None:
        """See Engine.unload."""
        if self._reload is not None:
            # CTranslate2's own unload_model() sometimes leaves the weights in memory.
            del self.model.weights
            release_memory()

    def load(self) -> None:
        """See Engine.load."""
        if self._reload is not None:
            self.model.weights = self._reload()

    def _usual_commands(self, beam: int, count: int) -> float:
        """Return the seconds that a batch of typical commands takes."""
        job = Job(np.zeros(_USUAL_SAMPLES, np.float32), DecodeOptions(language="en"))
        started = time.perf_counter()
        encoding = self.model.encode(
            [self.model.features(job.samples)] * count, self._frames(job)
        )
        prompts = [self.model.prompt(job.options, "en")] * count
        self.model.time_decoder(encoding, prompts, beam, _USUAL_TOKENS)
        return time.perf_counter() - started

    def _beam(self, options: DecodeOptions) -> int:
        return options.beam_size or self._tuning.beam

    def _known_language(self, options: DecodeOptions) -> str:
        """Return the spoken language; "" if it has to be detected."""
        return options.language or ("" if self.model.multilingual else "en")

    def _frames(self, job: Job, *, seconds: float | None = None, second: bool = False) -> int:
        # The window depends on the language; until it is detected, use the cautious window.
        return window_frames(
            job.seconds + job.leading_silence / SAMPLE_RATE if seconds is None else seconds,
            size=self._size,
            language=self._known_language(job.options),
            full=self._full_window,
            second=second,
        )

    def _decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        options = jobs[0].options
        features = [self.model.features(job.padded_samples) for job in jobs]
        encoding = self.model.encode(features, max(map(self._frames, jobs)))
        if known := self._known_language(options):
            languages = [(known, 1.0)] * len(jobs)
        else:
            languages = self.model.detect_language(encoding, options.candidate_languages)
        # All jobs of a batch have the same prefix, because batch_key() includes it. CTranslate2
        # returns it as part of the text.
        prefix = self.model.tokens(jobs[0].prefix) if jobs[0].prefix else []
        prompts = [[*self.model.prompt(options, language), *prefix] for language, _ in languages]
        budgets = [
            token_budget(job.seconds, language)
            for job, (language, _) in zip(jobs, languages, strict=True)
        ]
        decoded = self.model.generate(encoding, prompts, self._beam(options), budgets)
        alone = encoding if len(jobs) == 1 else None
        del encoding
        return [
            self._finish(
                _Input(job, language, probability, prompt, some),
                prefer_in_vocabulary(text, oov_counter(options, language)),
                alone,
            )
            for job, (language, probability), prompt, some, text in zip(
                jobs, languages, prompts, features, decoded, strict=True
            )
        ]

    def _finish(self, sound: _Input, decoded: Decoded, encoding: Encoding | None) -> Transcript:
        """Turn a first pass into a transcript: second pass, missing speech, names.

        Args:
            decoded: result of the first pass.
            encoding: of the first pass; None if the batch had several jobs. The job is then
                encoded again when its encoding is needed.
        """
        job, language = sound.job, sound.language
        verdict = judge_hypothesis(
            decoded, certain_speech=job.certain_speech, speech_seconds=job.speech_seconds
        )
        end_scores = None
        if job.score_end and decoded.text and encoding is not None:
            end_scores = self._end_of_text(sound, decoded.text, encoding)
        first = _Pass(decoded, encoding)
        if verdict is not Verdict.NO_SPEECH and (
            decoded.repetitive or sparse(decoded, job.speech_seconds)
        ):
            first = self._check_coverage(sound, decoded, encoding or self._encode(sound))
            if first.gaps:
                verdict = Verdict.SECOND_PASS
        heard, passes = first, 1
        if verdict is Verdict.SECOND_PASS and not job.quick:
            heard = self._second_pass(sound, first)
            passes += 1
            if (
                heard is first
                and judge_hypothesis(first.decoded, certain_speech=job.certain_speech)
                is Verdict.NO_SPEECH
            ):
                verdict = Verdict.NO_SPEECH  # in both passes
        text = "" if verdict is Verdict.NO_SPEECH else heard.decoded.text
        if heard.gaps and not job.quick and text:
            text = self._fill_gaps(sound, text, heard.gaps)
            passes += len(heard.gaps)
        if not text.startswith(job.prefix):
            text = job.prefix  # text that was sent is never retracted
        biasing = JobBiasing(job, language)
        hypotheses = (text, *heard.decoded.alternatives) if text else ()
        names = biasing.similar_names(hypotheses)
        if names and self.model.prompt(
            job.options, language, names
        ) != sound.prompt_without_prefix(self.model):
            own = first.encoding or self._encode(sound)
            text = self._bias(biasing, job, language, hypotheses, names, heard.decoded, own)
            passes += 1
        text = biasing.correct(text)
        return Transcript(
            text,
            language,
            language_probability=sound.language_probability,
            provisional=bool(heard.gaps)
            or unfinished(decoded)
            or (job.quick and verdict is Verdict.SECOND_PASS),
            avg_logprob=heard.decoded.avg_logprob,
            passes=passes,
            verdict=verdict.value,
            end_scores=end_scores,
        )

    def _end_of_text(
        self, sound: _Input, text: str, encoding: Encoding
    ) -> EndOfTextScores | None:
        scores = self.model.score_end_of_text(
            encoding, sound.prompt_without_prefix(self.model), text, sound.seconds
        )
        # Count text_end from the job's first sample, which comes after the leading silence.
        silence = sound.seconds - sound.job.seconds
        return scores and replace(scores, text_end=scores.text_end - silence)

    def _encode(self, sound: _Input, frames: int | None = None) -> Encoding:
        return self.model.encode([sound.features], frames or self._frames(sound.job))

    def _check_coverage(self, sound: _Input, decoded: Decoded, encoding: Encoding) -> _Pass:
        """Compare a text with the audio: remove loops, find speech that the text leaves out."""
        aligned = None
        if sound.job.speech and (decoded.repetitive or sparse(decoded, sound.job.speech_seconds)):
            plain = sound.prompt_without_prefix(self.model)
            aligned = self.model.align(encoding, plain, decoded.text, sound.seconds)
        if aligned is None:
            return _Pass(decoded, encoding, looped=decoded.repetitive)
        looped = decoded.repetitive
        if looped:
            decoded, aligned = remove_loops(decoded, aligned, sound.speech)
        return _Pass(decoded, encoding, tuple(gaps(aligned, sound.speech)), looped)

    def _second_pass(self, sound: _Input, first: _Pass) -> _Pass:
        """Decode once more: over the full window, or over slower audio.

        The full window corrects what a short one gets wrong: loops, lost speech, numbers of
        repetitions, single words. A text that is merely unlikely is decoded from slower audio,
        in which the decoder makes other errors (speed perturbation). That is as accurate as the
        full window and takes a third of its time. The hypotheses of both passes are then rescored
        over both encodings.
        """
        job = sound.job
        lost = first.looped or first.gaps or not has_words(first.decoded.text)
        full = self._frames(job) < FULL_FRAMES and (lost or fragile(first.decoded.text))
        # Heap blocks left by a short window may be too small for a longer one: return them first.
        release_memory()
        if full:
            encoding = self._encode(sound, FULL_FRAMES)
            second = self._check_coverage(sound, self._decode_again(sound, encoding), encoding)
        else:
            speed = max(SPEED, sound.seconds / (FULL_SECONDS - 1))  # it must fit the window
            features = self.model.features(slow_down(job.padded_samples, speed))
            frames = self._frames(job, seconds=sound.seconds / speed, second=True)
            encoding = self.model.encode([features], frames)
            decoded = self._decode_again(sound, encoding)
            second = _Pass(decoded, encoding, looped=decoded.repetitive)
        if (
            not second.looped
            and judge_hypothesis(second.decoded, certain_speech=True) is Verdict.NO_SPEECH
        ):
            return first
        if not has_words(first.decoded.text):
            return second
        if second.looped and not first.looped:
            return first
        if full or first.looped or first.gaps:
            # Not rescored: if two texts differ in a number of repetitions, rescoring always
            # prefers the shorter one.
            return first if second.gaps and not first.gaps else second
        oov_count = oov_counter(job.options, sound.language)
        hypotheses = hypotheses_of(first.decoded, second.decoded)
        encodings = (first.encoding or self._encode(sound), encoding)
        scores = self.model.score(encodings, sound.prompt_without_prefix(self.model), hypotheses)
        return replace(first, decoded=rescore(first.decoded, scores, oov_count))

    def _decode_again(self, sound: _Input, encoding: Encoding) -> Decoded:
        """Decode in a second pass: with a beam, even if the first pass was greedy."""
        options = sound.job.options
        budget = token_budget(sound.job.seconds, sound.language)
        [decoded] = self.model.generate(
            encoding, [sound.prompt], options.beam_size or BEAM, [budget]
        )
        return prefer_in_vocabulary(decoded, oov_counter(options, sound.language))

    def _fill_gaps(self, sound: _Input, text: str, missing: Sequence[Gap]) -> str:
        """Decode the speech that a text leaves out, and insert it where it belongs."""
        job = sound.job
        options = replace(job.options, language=sound.language)
        for gap in reversed(missing):
            start = max(0, round((gap.start - _MARGIN) * SAMPLE_RATE) - job.leading_silence)
            end = round((gap.end + _MARGIN) * SAMPLE_RATE) - job.leading_silence
            before = self.model.prefix(text, gap.tokens)
            if end - start > _LARGEST_PART * len(job.samples) or len(before) < len(job.prefix):
                continue
            voice = tuple(
                (max(a, start) - start, min(b, end) - start)
                for a, b in job.speech
                if a < end and b > start
            )
            part = Job(job.samples[start:end], options, speech=voice)
            [found] = self._decode([part])
            if found.verdict != Verdict.NO_SPEECH.value and found.avg_logprob > _LEAST_LOGPROB:
                text = insert(text, len(before), found.text)
        return text

    def _bias(
        self,
        biasing: JobBiasing,
        job: Job,
        language: str,
        hypotheses: Sequence[str],
        names: Sequence[str],
        first: Decoded,
        encoding: Encoding,
    ) -> str:
        """Choose between the first text and texts with a name, by a biased decode and scores.

        Args:
            hypotheses: n-best list of the first pass, best first.
            names: names that something in the hypotheses resembles.
            first: result of the pass that gave the hypotheses.
            encoding: of the first pass.
        """
        biased: tuple[str, ...] = ()
        if words := biasing.allowed_words(hypotheses, names):
            prefix = self.model.tokens(job.prefix) if job.prefix else []
            biased_prompt = [*self.model.prompt(job.options, language, names), *prefix]
            only = self.model.spellings(words)
            beam = self._beam(job.options)
            [found] = self.model.generate(
                encoding, [biased_prompt], beam, [first.budget], allowed=only
            )
            biased = (found.text, *found.alternatives)
        rewrites = biasing.rewrites(hypotheses, biased, avg_logprob=first.avg_logprob)
        if not rewrites:
            return hypotheses[0]
        named = list(dict.fromkeys(rewrite.name for rewrite in rewrites))
        prompt = self.model.prompt(job.options, language, named)
        texts = (hypotheses[0], *(rewrite.text for rewrite in rewrites))
        scores = self.model.score([encoding], prompt, texts)
        heard_first, *others = (value for text in texts for value in scores[text])
        rewrite = choose_rewrite(rewrites, others, unbiased_score=heard_first)
        return rewrite.text if rewrite else hypotheses[0]
