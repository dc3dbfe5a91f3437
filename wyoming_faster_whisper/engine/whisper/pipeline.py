"""One decode, from samples to text: what is made of the model.

It is a spectrogram, one encoding of as much window as the clip needs (window.py), a
beam over it, and, where the gate does not believe the text (hallucination.py) or the text leaves
speech out (coverage.py), all of it once more over the full window. Of the texts that a
beam found, one in words that there are is preferred. Where a text is like names the
decoder listens for them, and is asked whether one was meant (prompting.py). Jobs that need
the same window go through together: a step of the decoder spends its time on fetching
the weights, which serve a batch as well as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...audio.pcm import SAMPLE_RATE, slower
from ...biasing.hypotheses import chosen
from ...errors import EngineError
from ...hardware import release_memory
from ...speech.turn_classifier import EndOfTextScores
from ..protocol import DecodeOptions, Job, Transcript
from .coverage import Gap, Span, gaps, inserted, sparse, unlooped
from .ctranslate2 import Encoding, Model, Weights
from .hallucination import (
    Decoded,
    Verdict,
    counts,
    fragile,
    has_words,
    judge,
    unfinished,
)
from .prompting import Expected, strange_words
from .rescoring import likeliest, rivals, worded
from .spectrogram import Features
from .token_budget import token_budget
from .tuning import BEAM, Choice, Tuning
from .window import FULL_FRAMES, FULL_SECONDS, window_frames

_USUAL_SAMPLES, _USUAL_TOKENS = 3 * SAMPLE_RATE, 12  # of a command

PACE = 0.9
"""Speed of the sound in a second pass where the first had the full window already."""

# Mean log-probability below which a second pass takes the full window. Of 102 spoken names
# those below it have 57 word errors instead of 60 over 20 s; the others have as many.
_UNLIKELY = -0.5

# Speech that a text leaves out: decoded with so much sound around it, in seconds, if it is a part
# of the sound and not all of it, and believed from that mean log-probability on.
_MARGIN = 0.2
_PART = 0.8
_LEAST_SURE = -0.8


@dataclass(frozen=True, slots=True)
class _Sound:
    """What one job gives the decoder, in every pass over it."""

    job: Job
    language: str
    probability: float  # of the language
    prompt: list[int]  # ends with what was sent of the text
    features: Features

    @property
    def seconds(self) -> float:
        """Length of what the model hears, the silence in front included."""
        return self.job.seconds + self.job.leading_silence / SAMPLE_RATE

    @property
    def voice(self) -> list[Span]:
        """When the VAD hears speech, in seconds of what the model hears."""
        lead = self.job.leading_silence
        return [((a + lead) / SAMPLE_RATE, (b + lead) / SAMPLE_RATE) for a, b in self.job.speech]

    def plain(self, model: Model) -> list[int]:
        """The prompt without what was sent of the text."""
        return model.prompt(self.job.options, self.language)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one pass heard."""

    decoded: Decoded
    encoding: Encoding | None = None
    gaps: tuple[Gap, ...] = ()  # speech that the text leaves out
    looped: bool = False  # the decoder did not come to an end; its text has been cut


class WhisperEngine:
    """Decodes with a model that is loaded.

    Args:
        weights: from load_model().
        directory: it was loaded from.
        tokenizer: its tokenizer.json; None = the one in directory.
        size: of the model, as models.size_of() says.
        full_window: never a shorter window than the model was trained on.
        takes_prompt: False for distilled models, which prompts harm.
        largest_batch: jobs that may be decoded together, where warm_up() finds it faster.
        reload: loads the model again after unload(); None = it is never unloaded.
        measured: told, by warm_up(), how long a usual command takes and what was chosen.

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
        measured: Callable[[Choice], None] = lambda choice: None,
    ) -> None:
        self.parallel: int = weights.num_workers
        self.directory = directory
        self.model = Model(
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

    def kind(self, job: Job) -> Hashable:
        """See Engine.kind."""
        return job.options, self._frames(job), job.said

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        try:
            return self._decode(jobs)
        except RuntimeError as error:  # CTranslate2's only kind
            raise EngineError(f"the model failed on this audio: {error}") from error

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """See Engine.warm_up; tuning.py says what is made of the measurement.

        After the first decode every allocation and thread is there.
        """
        if (choice := self._tuning.measure(needed)) is not None:
            self._measured(choice)
        if not needed():
            # The words are read now, and not when somebody speaks.
            strange_words(DecodeOptions(), "en")

    def unload(self) -> None:
        """See Engine.unload."""
        if self._reload is not None:
            # CTranslate2's own unload_model() leaves the weights in memory now and then.
            del self.model.weights
            release_memory()

    def load(self) -> None:
        """See Engine.load."""
        if self._reload is not None:
            self.model.weights = self._reload()

    def _usual_commands(self, beam: int, count: int) -> float:
        """The seconds that some usual commands take together."""
        job = Job(np.zeros(_USUAL_SAMPLES, np.float32), DecodeOptions(language="en"))
        started = time.perf_counter()
        encoding = self.model.encode(
            [self.model.features(job.samples)] * count, self._frames(job)
        )
        prompts = [self.model.prompt(job.options, "en")] * count
        self.model.write(encoding, prompts, beam, _USUAL_TOKENS)
        return time.perf_counter() - started

    def _beam(self, options: DecodeOptions) -> int:
        return options.beam_size or self._tuning.beam

    def _known_language(self, options: DecodeOptions) -> str:
        """What will be spoken, "" where that is to be detected."""
        return options.language or ("" if self.model.multilingual else "en")

    def _frames(self, job: Job, *, second: bool = False) -> int:
        # The language decides on the window; before it is known, the cautious one will do.
        return window_frames(
            job.seconds + job.leading_silence / SAMPLE_RATE,
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
            languages = self.model.detect(encoding, options.among)
        # The same in all of them, as kind() has it. CTranslate2 hands it back with the rest.
        said = self.model.tokens(jobs[0].said) if jobs[0].said else []
        prompts = [[*self.model.prompt(options, language), *said] for language, _ in languages]
        budgets = [
            token_budget(job.seconds, language)
            for job, (language, _) in zip(jobs, languages, strict=True)
        ]
        decoded = self.model.generate(encoding, prompts, self._beam(options), budgets)
        alone = encoding if len(jobs) == 1 else None
        del encoding
        return [
            self._settle(
                _Sound(job, language, probability, prompt, some),
                worded(text, strange_words(options, language)),
                alone,
            )
            for job, (language, probability), prompt, some, text in zip(
                jobs, languages, prompts, features, decoded, strict=True
            )
        ]

    def _settle(self, sound: _Sound, decoded: Decoded, encoding: Encoding | None) -> Transcript:
        """Make an answer of a first pass: second pass, missing speech, names.

        Args:
            encoding: of the first pass; None where several went together. It is made again then,
                once it is needed.
        """
        job, language = sound.job, sound.language
        verdict = judge(
            decoded, certain_speech=job.certain_speech, speech_seconds=job.speech_seconds
        )
        end_scores = None
        if job.score_end and decoded.text and encoding is not None:
            end_scores = self._end_of_text(sound, decoded.text, encoding)
        first = _Heard(decoded, encoding)
        if verdict is not Verdict.EMPTY and (
            decoded.derailed or sparse(decoded, job.speech_seconds)
        ):
            first = self._checked(sound, decoded, encoding or self._encode(sound))
            if first.gaps:
                verdict = Verdict.AGAIN
        heard, passes = first, 1
        if verdict is Verdict.AGAIN and not job.quick:
            heard = self._again(sound, first)
            passes += 1
            if (
                heard is first
                and judge(first.decoded, certain_speech=job.certain_speech) is Verdict.EMPTY
            ):
                verdict = Verdict.EMPTY  # in both passes
        text = "" if verdict is Verdict.EMPTY else heard.decoded.text
        if heard.gaps and not job.quick and text:
            text = self._completed(sound, text, heard.gaps)
            passes += len(heard.gaps)
        if not text.startswith(job.said):
            text = job.said  # it has been sent, and is not taken back
        expected = Expected(job, language)
        texts = (text, *heard.decoded.others) if text else ()
        names = expected.likely(texts)
        if names and self.model.prompt(job.options, language, names) != sound.plain(self.model):
            own = first.encoding or self._encode(sound)
            text = self._meant(expected, job, language, texts, names, heard.decoded, own)
            passes += 1
        text = expected.write(text)
        return Transcript(
            text,
            language,
            language_probability=sound.probability,
            provisional=bool(heard.gaps)
            or unfinished(decoded)
            or (job.quick and verdict is Verdict.AGAIN),
            logprob=heard.decoded.logprob,
            passes=passes,
            verdict=verdict.value,
            end_scores=end_scores,
        )

    def _end_of_text(
        self, sound: _Sound, text: str, encoding: Encoding
    ) -> EndOfTextScores | None:
        scores = self.model.score_end_of_text(
            encoding, sound.plain(self.model), text, sound.seconds
        )
        # By the clock of the samples, which begins behind the silence that was put in front.
        silence = sound.seconds - sound.job.seconds
        return scores and replace(scores, text_end=scores.text_end - silence)

    def _encode(self, sound: _Sound, frames: int | None = None) -> Encoding:
        return self.model.encode([sound.features], frames or self._frames(sound.job))

    def _checked(self, sound: _Sound, decoded: Decoded, encoding: Encoding) -> _Heard:
        """Compare a text with the sound: cut what it repeats, find what it leaves out."""
        aligned = None
        if sound.job.speech and (decoded.derailed or sparse(decoded, sound.job.speech_seconds)):
            plain = sound.plain(self.model)
            aligned = self.model.align(encoding, plain, decoded.text, sound.seconds)
        if aligned is None:
            return _Heard(decoded, encoding, looped=decoded.derailed)
        looped = decoded.derailed
        if looped:
            decoded, aligned = unlooped(decoded, aligned, sound.voice)
        return _Heard(decoded, encoding, tuple(gaps(aligned, sound.voice)), looped)

    def _again(self, sound: _Sound, first: _Heard) -> _Heard:
        """Decode once more, over a longer window: what a short one got wrong it gets right.

        Where both passes came to their end, and no count is at stake, the hypotheses of both are
        rescored by both encodings.
        """
        job = sound.job
        beam = job.options.beam_size or BEAM  # also where the first pass was greedy
        features = sound.features
        lost = first.looped or first.gaps or not has_words(first.decoded.text)
        full = lost or fragile(first.decoded.text) or first.decoded.logprob < _UNLIKELY
        frames = FULL_FRAMES if full else self._frames(job, second=True)
        if self._frames(job) == frames:
            # The same window would give the same text. Speed perturbation errs elsewhere.
            pace = max(PACE, sound.seconds / (FULL_SECONDS - 1))  # none of it may be lost
            features = self.model.features(slower(job.padded_samples, pace))
        # What a short window left behind in the heap may not fit a longer one.
        release_memory()
        encoding = self.model.encode([features], frames)
        budget = token_budget(job.seconds, sound.language)
        [decoded] = self.model.generate(encoding, [sound.prompt], beam, [budget])
        strange = strange_words(job.options, sound.language)
        second = self._checked(sound, worded(decoded, strange), encoding)
        if not second.looped and judge(second.decoded, certain_speech=True) is Verdict.EMPTY:
            return first
        if not has_words(first.decoded.text):
            return second
        if second.looped or first.looped:
            return first if second.looped and not first.looped else self._fuller(second, first)
        if first.gaps or second.gaps:
            return self._fuller(second, first)
        if fragile(first.decoded.text) or counts(second.decoded.text):
            return second  # where a count differs the shorter text is always likelier
        texts = rivals(first.decoded, second.decoded)
        encodings = (first.encoding or self._encode(sound), encoding)
        likely = self.model.likely(encodings, sound.plain(self.model), texts)
        return replace(first, decoded=likeliest(first.decoded, likely, strange))

    @staticmethod
    def _fuller(second: _Heard, first: _Heard) -> _Heard:
        """Of two passes, the second, unless only that leaves speech out."""
        return first if second.gaps and not first.gaps else second

    def _completed(self, sound: _Sound, text: str, missing: Sequence[Gap]) -> str:
        """Decode what a text leaves out, and put it where it belongs."""
        job = sound.job
        options = replace(job.options, language=sound.language)
        for gap in reversed(missing):
            start = max(0, round((gap.start - _MARGIN) * SAMPLE_RATE) - job.leading_silence)
            end = round((gap.end + _MARGIN) * SAMPLE_RATE) - job.leading_silence
            before = self.model.beginning(text, gap.tokens)
            if end - start > _PART * len(job.samples) or len(before) < len(job.said):
                continue
            voice = tuple(
                (max(a, start) - start, min(b, end) - start)
                for a, b in job.speech
                if a < end and b > start
            )
            part = Job(job.samples[start:end], options, speech=voice)
            [found] = self._decode([part])
            if found.verdict != Verdict.EMPTY.value and found.logprob > _LEAST_SURE:
                text = inserted(text, len(before), found.text)
        return text

    def _meant(
        self,
        expected: Expected,
        job: Job,
        language: str,
        heard: Sequence[str],
        names: Sequence[str],
        first: Decoded,
        encoding: Encoding,
    ) -> str:
        """What was said: the text that was heard first, or one with a name.

        Args:
            heard: the likeliest first.
            names: that something in them is like.
        """
        asked: tuple[str, ...] = ()
        if words := expected.words(heard, names):
            said = self.model.tokens(job.said) if job.said else []
            told = [*self.model.prompt(job.options, language, names), *said]
            only = self.model.spellings(words)
            beam = self._beam(job.options)
            [found] = self.model.generate(encoding, [told], beam, [first.budget], only=only)
            asked = (found.text, *found.others)
        rewrites = expected.rewrites(heard, asked, sure=first.logprob)
        if not rewrites:
            return heard[0]
        named = list(dict.fromkeys(rewrite.name for rewrite in rewrites))
        prompt = self.model.prompt(job.options, language, named)
        texts = (heard[0], *(rewrite.text for rewrite in rewrites))
        likely = self.model.likely([encoding], prompt, texts)
        heard_first, *others = (value for text in texts for value in likely[text])
        rewrite = chosen(rewrites, others, heard=heard_first)
        return rewrite.text if rewrite else heard[0]
