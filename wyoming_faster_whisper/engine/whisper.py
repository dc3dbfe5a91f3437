"""One decode, from samples to text: what is made of the model.

It is a spectrogram, one encoding of as much window as the clip needs (window.py), a
beam over it, and, where the gate does not believe the text (gate.py), all of it once
more, played more slowly. Of the texts that a beam found, one in words that there are is
preferred. Where a text is like names the decoder listens for them, and is asked whether
one was meant (hints.py). Jobs that need the same window go through together: a step of
the decoder spends its time on fetching the weights, which serve a batch as well as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..audio import SAMPLE_RATE, slower
from ..errors import EngineError
from ..hardware import release_memory
from ..names.rewrites import chosen
from .base import DecodeOptions, Job, Transcript
from .gate import (
    Decoded,
    Verdict,
    better,
    judge,
    likeliest,
    rivals,
    token_budget,
    unlooped,
    worded,
)
from .hints import Expected, strange_words
from .model import Encoding, Model, Weights
from .tuning import BEAM, Choice, Tuning
from .window import FULL_SECONDS, window_frames

_USUAL_SAMPLES, _USUAL_TOKENS = 3 * SAMPLE_RATE, 12  # of a command

PACE = 0.9
"""Of the sound in a second look: what was unclear is played more slowly (docs/performance.md)."""


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

    def _known_language(self, options: DecodeOptions) -> str:
        """What will be spoken, "" where that is to be detected."""
        return options.language or ("" if self.model.multilingual else "en")

    def _frames(self, job: Job, *, seconds: float | None = None, second: bool = False) -> int:
        # The language decides on the window; before it is known, the cautious one will do.
        return window_frames(
            job.seconds + job.lead / SAMPLE_RATE if seconds is None else seconds,
            size=self._size,
            language=self._known_language(job.options),
            full=self._full_window,
            second=second,
        )

    def _decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        options = jobs[0].options
        features = [self.model.features(job.sound) for job in jobs]
        encoding = self.model.encode(features, max(map(self._frames, jobs)))
        if known := self._known_language(options):
            languages = [known] * len(jobs)
        else:
            languages = self.model.detect(encoding, options.among)
        # The same in all of them, as kind() has it. CTranslate2 hands it back with the rest.
        said = self.model.tokens(jobs[0].said) if jobs[0].said else []
        prompts = [[*self.model.prompt(options, language), *said] for language in languages]
        budgets = [
            token_budget(job.seconds, language)
            for job, language in zip(jobs, languages, strict=True)
        ]
        beam = options.beam_size or self._tuning.beam
        first = [
            worded(decoded, strange_words(options, language))
            for decoded, language in zip(
                self.model.generate(encoding, prompts, beam, budgets), languages, strict=True
            )
        ]
        closing = None
        if len(jobs) == 1 and jobs[0].closing and first[0].text:
            prompt = self.model.prompt(options, languages[0])
            seconds = len(jobs[0].sound) / SAMPLE_RATE
            closing = self.model.closing(encoding, prompt, first[0].text, seconds)
            # By the clock of the samples, which begins behind the silence that was put in front.
            silence = seconds - jobs[0].seconds
            closing = closing and replace(closing, end=closing.end - silence)
        alone = encoding if len(jobs) == 1 else None
        del encoding
        found: list[Transcript] = []
        for job, some, language, prompt, decoded in zip(
            jobs, features, languages, prompts, first, strict=True
        ):
            decoded = unlooped(decoded, job.seconds)
            verdict = judge(decoded, sure=job.sure)
            passes = 1
            plain = self.model.prompt(options, language)
            own = alone  # encoding; where several went together it is made when it is needed
            if verdict is Verdict.AGAIN:
                own = own or self.model.encode([some], self._frames(job))
                decoded = self._again(job, language, prompt, plain, decoded, own)
                passes += 1
            text = "" if verdict is Verdict.EMPTY else decoded.text
            if not text.startswith(job.said):
                text = job.said  # it has been sent, and is not taken back
            expected = Expected(job, language)
            heard = (text, *decoded.others) if text else ()
            names = expected.likely(heard)
            if names and self.model.prompt(options, language, names) != plain:
                own = own or self.model.encode([some], self._frames(job))
                text = self._meant(expected, job, language, heard, names, decoded, own)
                passes += 1
            text = expected.write(text)
            found.append(
                Transcript(text, language, decoded.logprob, passes, verdict.value, closing)
            )
        return found

    def _again(
        self,
        job: Job,
        language: str,
        prompt: list[int],
        plain: list[int],
        first: Decoded,
        encoding: Encoding,
    ) -> Decoded:
        """A second look, at the sound played more slowly: what was unclear errs otherwise.

        The texts of either look are weighed by both, unless a decoder did not come to its end.

        Args:
            prompt: what is to be continued; ends with what was sent of the text.
            plain: the same without that.
            encoding: of the first look.
        """
        sound = job.sound
        seconds = len(sound) / SAMPLE_RATE
        pace = max(PACE, seconds / (FULL_SECONDS - 1))  # none of it may be lost
        frames = self._frames(job, seconds=seconds / pace, second=True)
        # What a short window left behind in the heap may not fit a longer one.
        release_memory()
        again = self.model.encode([self.model.features(slower(sound, pace))], frames)
        [second] = self.model.generate(again, [prompt], BEAM, [2 * first.budget])
        second = unlooped(second, job.seconds)
        if first.derailed or second.derailed:
            return better(first, second)
        likely = self.model.likely((encoding, again), plain, rivals(first, second))
        return likeliest(first, likely, strange_words(job.options, language))

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
            beam = job.options.beam_size or self._tuning.beam
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
