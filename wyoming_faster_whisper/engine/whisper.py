"""Whisper on CTranslate2: the only file that knows either.

One decode is: a spectrogram, one encoding of as much window as the clip needs
(window.py), a beam over it, and, where the gate does not believe the text
(gate.py), all of it once more, played more slowly and in a longer window.
Where a text is like names the decoder is asked whether one was meant (hints.py).
Jobs that need the same window go through together: a step of the decoder spends
its time on fetching the weights, which serve a batch as well as one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt

from ..audio import SAMPLE_RATE, Samples, slower
from ..auto import BUDGET
from ..errors import EngineError, ModelError
from ..hardware import release_memory
from ..names.correct import Rewrite, chosen
from .base import Closing, DecodeOptions, Job, Transcript
from .gate import Decoded, Verdict, better, judge, likeliest, rivals, token_budget, unlooped
from .hints import Expected, hints
from .spectrogram import Features, Spectrogram, to_features
from .tokens import load_tokenizer
from .window import FULL_SECONDS, window_frames

_LOGGER = logging.getLogger(__name__)

# As Whisper's own. Greedy decoding hears clearly worse and saves a fifth of the decoder's time
# at most, for a step costs the fetching of the weights whatever its width.
_BEAM = 5
# A batch must take no more than this share of the time per job to be worth the wait for its
# slowest.
_BATCH_GAIN = 0.95
_POSITIONS = 448  # tokens that the decoder has places for, the prompt included
_LONGEST_PROMPT = _POSITIONS // 2 - 1  # tokens, as Whisper cuts it
_STEP = 0.02  # seconds of sound in a frame of the encoding
_LEAST_LIKELY = 1e-30  # for a token; float32 has zeros for less

PACE = 0.9
"""Of the sound in a second look: what was unclear is played more slowly (docs/performance.md)."""


def load_model(
    directory: Path, *, device: str, compute_type: str, threads: int, workers: int = 1
) -> ctranslate2.models.Whisper:
    """Load the weights; half a second for base, and twice its size in memory for a moment.

    Where the GPU cannot be used, the CPU is, and one line in the log says why.

    Args:
        directory: with model.bin and what belongs to it.
        device: cpu, cuda, cuda:N or auto.
        compute_type: CTranslate2's; "default" is int8 on a CPU, float16 on a GPU.
        threads: that decode one utterance together.
        workers: utterances that are decoded at the same time, with the same weights.

    Raises:
        ModelError: the model cannot be used.
    """
    name, _, index = device.partition(":")

    def load(name: str, compute_type: str) -> ctranslate2.models.Whisper:
        if compute_type == "default":
            # CTranslate2's own default is the type the file was written in, float16 as a
            # rule, which a CPU would turn into float32.
            compute_type = "float16" if name == "cuda" else "int8"
        model = ctranslate2.models.Whisper(
            str(directory),
            device=name,
            device_index=int(index or 0) if name == "cuda" else 0,
            compute_type=compute_type,
            intra_threads=threads,
            inter_threads=workers,
        )
        if name == "cuda":
            # Some of CUDA's libraries are looked for only when they are first needed.
            model.encode(_nothing_heard(model))
        _LOGGER.info("Loaded %s on %s as %s", directory, name, model.compute_type)
        return model

    if name == "cuda" or (name == "auto" and ctranslate2.get_cuda_device_count()):
        try:
            return load("cuda", compute_type)
        except (RuntimeError, ValueError) as error:
            _LOGGER.warning("--device %s cannot be used, the CPU serves: %s", device, error)
            if compute_type not in ctranslate2.get_supported_compute_types("cpu"):
                compute_type = "default"
    try:
        return load("cpu", compute_type)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"the model in {directory} does not load as {compute_type}: {error}"
        ) from error


def _nothing_heard(model: ctranslate2.models.Whisper) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, 100), np.float32))


def use_backend() -> None:
    """Ask the libraries that only this file knows for something that needs no model."""
    import tokenizers

    ctranslate2.get_supported_compute_types("cpu")
    ctranslate2.StorageView.from_array(np.zeros((4, 4), np.float32))
    tokenizers.Tokenizer(tokenizers.models.BPE())


class WhisperEngine:
    """Decodes with a model that is loaded.

    Args:
        model: from load_model().
        directory: it was loaded from; the tokenizer lies there.
        size: of the model, as models.size_of() says.
        full_window: never a shorter window than the model was trained on.
        takes_prompt: False for distilled models, which prompts harm.
        largest_batch: jobs that may be decoded together, where warm_up() finds it faster.
        reload: loads the model again after unload(); None = it is never unloaded.
        measured: told, by warm_up(), how long a usual command takes, in seconds.

    Raises:
        ModelError: the tokenizer is missing or damaged.
    """

    def __init__(
        self,
        model: ctranslate2.models.Whisper,
        directory: Path,
        *,
        size: str = "",
        full_window: bool = False,
        takes_prompt: bool = True,
        largest_batch: int = 1,
        reload: Callable[[], ctranslate2.models.Whisper] | None = None,
        measured: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.parallel: int = model.num_workers
        # Until measured, or where somebody came meanwhile: two have been faster everywhere.
        self.max_batch = min(2, largest_batch)
        self.directory = directory
        self._model = model
        self._size = size
        self._full_window = full_window
        self._takes_prompt = takes_prompt
        self._largest_batch = largest_batch
        self._reload = reload
        self._measured = measured
        self._fast = True  # a beam can be afforded; until measured we hope so
        self._spectrogram = Spectrogram(model.n_mels)
        self._tokenizer = load_tokenizer(directory, multilingual=model.is_multilingual)
        self._end = self._id("<|endoftext|>")
        self._stops = [self._mark(mark) for mark in (".", "?", "!")]
        self._cuts = [self._mark(mark) for mark in ("...", "-")]

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
        """Decode a usual command a few times: every allocation and thread is there then.

        The fastest time counts, for others may be busy on the machine just now. A machine on
        which it is slower than the silence people leave decodes greedily only. Batches grow
        for as long as the time per command falls.
        """
        times: list[float] = []
        while len(times) < 3:
            if needed():
                return
            times.append(self._usual_commands(1))
        alone = min(times)
        self._fast = alone <= 2 * BUDGET
        self._measured(alone)
        self.max_batch, each = 1, alone
        while self.max_batch < self._largest_batch and not needed():
            batch = min(2 * self.max_batch, self._largest_batch)
            together = min(self._usual_commands(batch) for _ in range(2)) / batch
            if together > _BATCH_GAIN * each:
                break
            self.max_batch, each = batch, together
        if self.max_batch > 1:
            _LOGGER.info(
                "%d commands together take %.2f s each, one alone %.2f s",
                self.max_batch,
                each,
                alone,
            )

    def unload(self) -> None:
        """See Engine.unload."""
        if self._reload is not None:
            # CTranslate2's own unload_model() leaves the weights in memory now and then.
            del self._model
            release_memory()

    def load(self) -> None:
        """See Engine.load."""
        if self._reload is not None:
            self._model = self._reload()

    def _usual_commands(self, count: int) -> float:
        """The seconds that some commands of three seconds take together."""
        job = Job(np.zeros(3 * SAMPLE_RATE, np.float32), DecodeOptions(language="en"))
        started = time.perf_counter()
        encoding = self._encode([self._features(job.samples)] * count, self._frames(job))
        prompt = self._prompt(job.options, "en")
        # Twelve tokens, whatever the model thinks of silence.
        self._model.generate(
            encoding,
            [prompt] * count,
            beam_size=_BEAM if self._fast else 1,
            max_length=len(prompt) + 12 + len(prompt) % 2,
            suppress_tokens=[-1, self._end],
        )
        return time.perf_counter() - started

    def _known_language(self, options: DecodeOptions) -> str:
        """What will be spoken, "" where that is to be detected."""
        return options.language or ("" if self._model.is_multilingual else "en")

    def _frames(self, job: Job, *, seconds: float | None = None, second: bool = False) -> int:
        # The language decides on the window; before it is known, the cautious one will do.
        return window_frames(
            job.seconds if seconds is None else seconds,
            size=self._size,
            language=self._known_language(job.options),
            full=self._full_window,
            second=second,
        )

    def _decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        options = jobs[0].options
        features = [self._features(job.samples) for job in jobs]
        encoding = self._encode(features, max(map(self._frames, jobs)))
        if known := self._known_language(options):
            languages = [known] * len(jobs)
        else:
            languages = self._detect(encoding, options.among)
        # The same in all of them, as kind() has it. CTranslate2 hands it back with the rest.
        said = self._tokens(jobs[0].said) if jobs[0].said else []
        prompts = [[*self._prompt(options, language), *said] for language in languages]
        budgets = [
            token_budget(job.seconds, language)
            for job, language in zip(jobs, languages, strict=True)
        ]
        beam = options.beam_size or (_BEAM if self._fast else 1)
        first = self._generate(encoding, prompts, beam, budgets)
        closing = None
        if len(jobs) == 1 and jobs[0].closing and first[0].text:
            prompt = self._prompt(options, languages[0])
            closing = self._closing(encoding, prompt, first[0].text, jobs[0].seconds)
        kept = encoding if len(jobs) == 1 else None
        del encoding
        found: list[Transcript] = []
        for job, some, language, prompt, decoded in zip(
            jobs, features, languages, prompts, first, strict=True
        ):
            decoded = unlooped(decoded, job.seconds)
            verdict = judge(decoded, sure=job.sure)
            passes = 1
            if verdict is Verdict.AGAIN:
                if kept is None:
                    kept = self._encode([some], self._frames(job))
                plain = self._prompt(options, language)
                decoded = self._again(job, prompt, plain, decoded, kept)
                passes += 1
            text = "" if verdict is Verdict.EMPTY else decoded.text
            if not text.startswith(job.said):
                text = job.said  # it has been sent, and is not taken back
            expected = Expected(job, language)
            rewrites = expected.rewrites((text, *decoded.others)) if text else ()
            names = list(dict.fromkeys(found.name for found in rewrites))
            asking = self._prompt(options, language, names)
            if rewrites and asking != self._prompt(options, language):
                text = self._meant(job, some, asking, text, rewrites, kept)
                passes += 1
            text = expected.write(text)
            found.append(
                Transcript(text, language, decoded.logprob, passes, verdict.value, closing)
            )
        return found

    def _again(
        self,
        job: Job,
        prompt: list[int],
        plain: list[int],
        first: Decoded,
        encoding: ctranslate2.StorageView,
    ) -> Decoded:
        """A second look, at the sound played more slowly: what was unclear errs otherwise.

        The texts of either look are weighed by both, unless a decoder did not come to its end.

        Args:
            prompt: what is to be continued; ends with what was sent of the text.
            plain: the same without that.
            encoding: of the first look.
        """
        pace = max(PACE, job.seconds / (FULL_SECONDS - 1))  # none of it may be lost
        frames = self._frames(job, seconds=job.seconds / pace, second=True)
        # What short windows left behind in the heap does not fit a longer one.
        release_memory()
        again = self._encode([self._features(slower(job.samples, pace))], frames)
        second = self._generate(again, [prompt], _BEAM, [2 * first.budget])[0]
        if first.derailed or second.derailed:
            return better(first, second)
        likely = {
            text: [self._likely(each, plain, text) for each in (encoding, again)]
            for text in rivals(first, second)
        }
        return likeliest(first, likely)

    def _meant(
        self,
        job: Job,
        features: Features,
        prompt: list[int],
        text: str,
        rewrites: Sequence[Rewrite],
        encoding: ctranslate2.StorageView | None,
    ) -> str:
        """What was said: the text, or one of those with a name; the prompt has the names.

        Of an encoding that is still there.
        """
        if encoding is None:
            encoding = self._encode([features], self._frames(job))
        heard, *likely = (
            self._likely(encoding, prompt, each)
            for each in (text, *(found.text for found in rewrites))
        )
        found = chosen(rewrites, likely, heard=heard)
        return found.text if found else text

    def _likely(self, encoding: ctranslate2.StorageView, prompt: list[int], text: str) -> float:
        """How likely the decoder holds a text, natural log; no beam, all its words at once.

        One at a time: together they are no faster, and every one takes the memory that the
        encoding takes in all the layers.
        """
        words = self._tokens(text)
        if len(prompt) + len(words) > _POSITIONS:
            return -math.inf
        # It aligns the words with the sound as well; what comes of that is not read.
        [result] = self._model.align(encoding, prompt, [words], 2 * encoding.shape[1])
        return float(np.log(np.maximum(result.text_token_probs, _LEAST_LIKELY)).sum())

    def _closing(
        self, encoding: ctranslate2.StorageView, prompt: list[int], text: str, seconds: float
    ) -> Closing | None:
        """What the decoder would write behind a text: a mark perhaps? And where that ends."""
        words = self._tokens(text.rstrip(".,!?… -。？！"))
        steps = len(words) + 1  # CTranslate2 hands back a row for each word as well
        longest = max(2 * steps, len(prompt) + steps)
        if not words or longest > _POSITIONS:
            return None
        result: Any = self._model.generate(
            encoding,
            [[*prompt, *words]],
            beam_size=1,
            max_length=longest,
            return_logits_vocab=True,
        )[0]
        rows = result.logits[0][len(words) :]
        if not rows:
            return None
        behind = _log_probabilities(rows[0])
        frames = min(encoding.shape[1], math.ceil(seconds / _STEP))
        aligned = self._model.align(encoding, prompt, [words], 2 * frames)[0]
        return Closing(
            stop=float(np.logaddexp.reduce(behind[self._stops])),
            cut=float(np.logaddexp.reduce(behind[self._cuts])),
            word=math.log(max(aligned.text_token_probs[-1], _LEAST_LIKELY)),
            # The end-of-text token is aligned as well: with what comes after the last word.
            end=_STEP * next(at for word, at in aligned.alignments if word == len(words)),
        )

    def _features(self, samples: Samples) -> Features:
        return to_features(self._spectrogram.power(samples))

    def _encode(self, features: Sequence[Features], frames: int) -> ctranslate2.StorageView:
        """Encode all of them together, padded to the frames; with zeros, as faster-whisper pads.

        Zero is louder than silence. Neither hears better by itself.
        """
        padded = np.zeros((len(features), self._spectrogram.bands, frames), np.float32)
        for row, some in zip(padded, features, strict=True):
            width = min(frames, some.shape[1])
            row[:, :width] = some[:, :width]
        return self._model.encode(ctranslate2.StorageView.from_array(padded))

    def _detect(self, encoding: ctranslate2.StorageView, among: tuple[str, ...]) -> list[str]:
        """The likeliest languages, of those that may be, by the encoding at hand."""
        found: list[str] = []
        for ranked in self._model.detect_language(encoding):
            codes = [token.strip("<|>") for token, _ in ranked]
            found.append(next((code for code in codes if not among or code in among), codes[0]))
        return found

    def _prompt(
        self, options: DecodeOptions, language: str, names: Sequence[str] = ()
    ) -> list[int]:
        """The tokens that the decoder continues."""

        def fits(text: str) -> bool:
            return len(self._tokens(text)) <= options.hints

        prompt: list[int] = []
        if self._takes_prompt and (text := hints(options.prompt, names, fits)):
            prompt = [self._id("<|startofprev|>"), *self._tokens(text)[-_LONGEST_PROMPT:]]
        prompt.append(self._id("<|startoftranscript|>"))
        if self._model.is_multilingual:
            prompt += [self._id(f"<|{language}|>"), self._id(f"<|{options.task}|>")]
        return [*prompt, self._id("<|notimestamps|>")]

    def _tokens(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        # "<|startoftranscript|>" in a name is no command to the decoder.
        return [i for i in ids if i < self._end]

    def _generate(
        self,
        encoding: ctranslate2.StorageView,
        prompts: Sequence[list[int]],
        beam: int,
        budgets: Sequence[int],
    ) -> list[Decoded]:
        prompt = max(map(len, prompts))
        # CTranslate2 stops at min(max_length / 2, max_length - prompt).
        longest = min(_POSITIONS, max(2 * max(budgets), prompt + max(budgets)))
        results: Any = self._model.generate(
            encoding,
            list(prompts),
            beam_size=beam,
            num_hypotheses=beam,  # they are there in any case
            max_length=longest,
            return_scores=True,
            return_no_speech_prob=True,
        )
        return [
            self._decoded(result, budget) for result, budget in zip(results, budgets, strict=True)
        ]

    def _decoded(self, result: Any, budget: int) -> Decoded:
        ids: list[int] = result.sequences_ids[0]
        text, *others = (
            self._tokenizer.decode([i for i in each if i < self._end]).strip()
            for each in result.sequences_ids
        )
        return Decoded(
            text=text,
            others=tuple(others),
            tokens=len(ids),
            # The score is the mean without the end-of-text token, which counts as well.
            logprob=result.scores[0] * len(ids) / (len(ids) + 1),
            no_speech=result.no_speech_prob,
            budget=budget,
        )

    def _mark(self, mark: str) -> int:
        """The token of a mark right behind a word."""
        return int(self._tokenizer.encode(mark, add_special_tokens=False).ids[0])

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise EngineError(f"the model's tokenizer knows no {token}")
        return int(number)


def _log_probabilities(logits: Any) -> npt.NDArray[np.float32]:
    row = np.asarray(logits, np.float32).reshape(-1)
    out: npt.NDArray[np.float32] = row - np.logaddexp.reduce(row)
    return out
