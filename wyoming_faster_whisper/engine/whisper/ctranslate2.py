"""CTranslate2's Whisper and its tokenizer: the only file that knows either.

What one can ask of a model: encode sound, continue a prompt with a beam, say how likely
a text is over an encoding, and how it ends. What is made of that is pipeline.py's.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import ctranslate2
import numpy as np

from ...audio.pcm import Samples
from ...errors import EngineError, ModelError
from ...speech.turn_classifier import EndOfTextScores
from ..protocol import DecodeOptions
from .coverage import Alignment
from .hallucination import Decoded
from .prompting import build_prompt
from .spectrogram import Features, Spectrogram, to_features
from .tokens import load_tokenizer

_LOGGER = logging.getLogger(__name__)

_POSITIONS = 448  # tokens that the decoder has places for, the prompt included
_LONGEST_PROMPT = _POSITIONS // 2 - 1  # tokens, as Whisper cuts it
_STEP = 0.02  # seconds of sound in a frame of the encoding
_LEAST_PROBABILITY = 1e-30  # for a token; float32 has zeros for less
_LAST_VERSION = 255  # of CTranslate2's file format; they are at 6
_MARKS = tuple(",.?!%'-")
_NUMBERS = tuple(map(str, range(101)))  # as in "to 30%"

Weights: TypeAlias = ctranslate2.models.Whisper
Encoding: TypeAlias = ctranslate2.StorageView
"""What the encoder makes of sounds, shape (sounds, frames / 2, width)."""


def load_model(
    directory: Path, *, device: str, compute_type: str, threads: int, workers: int = 1
) -> Weights:
    """Load the weights; half a second for base, and twice its size in memory for a moment.

    A thread that ends does it. The threads that CTranslate2 gets from libgomp for loading stay
    for as long as the one that loads, and where there are more of them than cores libgomp lets
    each go to sleep whenever it waits for another: a step of the decoder takes up to three times
    as long.

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
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_load, directory, device, compute_type, threads, workers).result()


def _load(directory: Path, device: str, compute_type: str, threads: int, workers: int) -> Weights:
    name, _, index = device.partition(":")

    def load(name: str, compute_type: str) -> Weights:
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
        raise ModelError(_why(error, directory, compute_type)) from error


def _why(error: Exception, directory: Path, compute_type: str) -> str:
    """Say why a model does not load, by what CTranslate2 says of its file."""
    said, file = str(error), directory / "model.bin"
    if "is incomplete" in said or "invalid payload size" in said:
        return f"{file} is cut off or damaged; copy or download it again ({said})"
    version = re.search(r"model has binary version v(\d+)", said)
    if version and int(version[1]) > _LAST_VERSION:
        return (
            f"{file} is no CTranslate2 model; give --model a name, or a directory with a model "
            "that ct2-transformers-converter has written"
        )
    return f"the model in {directory} does not load as {compute_type}: {said}"


def _nothing_heard(model: Weights) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, 100), np.float32))


def use_backend() -> None:
    """Ask the libraries that only this file knows for something that needs no model."""
    import tokenizers

    ctranslate2.get_supported_compute_types("cpu")
    ctranslate2.StorageView.from_array(np.zeros((4, 4), np.float32))
    tokenizers.Tokenizer(tokenizers.models.BPE())


class CTranslate2Whisper:
    """A model that is loaded, and its tokenizer.

    Args:
        weights: from load_model(); taken out and put in again by who frees them.
        tokenizer: the model's tokenizer.json.
        takes_prompt: False for distilled models, which prompts harm.

    Raises:
        ModelError: the tokenizer is missing or damaged.
    """

    def __init__(self, weights: Weights, tokenizer: Path, *, takes_prompt: bool = True) -> None:
        self.weights = weights
        self.multilingual: bool = weights.is_multilingual
        self._takes_prompt = takes_prompt
        self.spectrogram = Spectrogram(weights.n_mels)
        self._tokenizer = load_tokenizer(tokenizer)
        self._end = self._id("<|endoftext|>")
        self._stops = {mark: self._mark(mark) for mark in ".?!。"}
        self._dash, self._ellipsis = self._mark("-"), self._mark("...")
        self._spelling = lru_cache(maxsize=8192)(self._spell)

    def features(self, samples: Samples) -> Features:
        """What the encoder hears of a sound."""
        return to_features(self.spectrogram.power(samples))

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """Encode all of them together, padded to the frames; with zeros, as faster-whisper pads.

        Zero is louder than silence. Neither hears better by itself.
        """
        padded = np.zeros((len(features), self.spectrogram.bands, frames), np.float32)
        for row, some in zip(padded, features, strict=True):
            width = min(frames, some.shape[1])
            row[:, :width] = some[:, :width]
        return self.weights.encode(ctranslate2.StorageView.from_array(padded))

    def detect_language(
        self, encoding: Encoding, among: tuple[str, ...]
    ) -> list[tuple[str, float]]:
        """Detect the language of each sound, of those that may be spoken.

        Returns:
            The likeliest language and its probability, 0 to 1, for each sound.
        """
        found: list[tuple[str, float]] = []
        for ranked in self.weights.detect_language(encoding):
            codes = [(token.strip("<|>"), float(share)) for token, share in ranked]
            found.append(
                next((each for each in codes if not among or each[0] in among), codes[0])
            )
        return found

    def prompt(
        self, options: DecodeOptions, language: str, names: Sequence[str] = ()
    ) -> list[int]:
        """The tokens that the decoder continues."""

        def fits(text: str) -> bool:
            return len(self.tokens(text)) <= options.max_prompt_tokens

        prompt: list[int] = []
        if self._takes_prompt and (text := build_prompt(options.prompt, names, fits)):
            prompt = [self._id("<|startofprev|>"), *self.tokens(text)[-_LONGEST_PROMPT:]]
        prompt.append(self._id("<|startoftranscript|>"))
        if self.multilingual:
            prompt += [self._id(f"<|{language}|>"), self._id(f"<|{options.task}|>")]
        return [*prompt, self._id("<|notimestamps|>")]

    def tokens(self, text: str) -> list[int]:
        """Those of a text, as one writes it behind another."""
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        # "<|startoftranscript|>" in a name is no command to the decoder.
        return [i for i in ids if i < self._end]

    def spellings(self, words: Iterable[str]) -> frozenset[int]:
        """The tokens that some words are made of, and with them numbers and marks."""
        return frozenset().union(*map(self._spelling, (*words, *_MARKS, *_NUMBERS)))

    def generate(
        self,
        encoding: Encoding,
        prompts: Sequence[list[int]],
        beam: int,
        budgets: Sequence[int],
        *,
        allowed: frozenset[int] = frozenset(),
    ) -> list[Decoded]:
        """What the decoder writes behind each prompt, over the encoding of each sound.

        Args:
            beam: texts that are followed at the same time; 1 = greedily.
            budgets: tokens that each sound can need.
            allowed: tokens that it can write; none = any.
        """
        prompt = max(map(len, prompts))
        budgets = [min(budget, _POSITIONS - prompt) for budget in budgets]
        # CTranslate2 stops at min(max_length / 2, max_length - prompt).
        longest = max(2 * max(budgets), prompt + max(budgets))
        results: Any = self.weights.generate(
            encoding,
            list(prompts),
            beam_size=beam,
            num_hypotheses=beam,  # they are there in any case
            max_length=longest,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1, *self._suppressed(allowed)],
        )
        return [
            self._decoded(result, budget) for result, budget in zip(results, budgets, strict=True)
        ]

    def time_decoder(
        self, encoding: Encoding, prompts: Sequence[list[int]], beam: int, count: int
    ) -> None:
        """As generate(), but that many tokens, whatever the decoder thinks of the sound."""
        prompt = max(map(len, prompts))
        self.weights.generate(
            encoding,
            list(prompts),
            beam_size=beam,
            max_length=prompt + count + prompt % 2,
            suppress_tokens=[-1, self._end],
        )

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        """How likely the decoder holds texts over each encoding, natural log; see _score().

        As many questions at the same time as there are workers. In one batch they are no faster,
        and every one takes the memory that the encoding takes in all the layers.
        """
        with ThreadPoolExecutor(self.weights.num_workers) as pool:
            asked = {
                text: [pool.submit(self._score, encoding, prompt, text) for encoding in encodings]
                for text in texts
            }
        return {text: [answer.result() for answer in answers] for text, answers in asked.items()}

    def _score(self, encoding: Encoding, prompt: list[int], text: str) -> float:
        """Score one text and its end: no beam, all its tokens at once."""
        # Without its end a text that breaks off is always likelier than the whole one.
        words = [*self.tokens(text), self._end]
        if len(prompt) + len(words) + 2 > _POSITIONS:  # see below, and the end of the text
            return -math.inf
        # It aligns the words with the sound as well; what comes of that is not read. CTranslate2
        # puts a <|notimestamps|> of its own behind the prompt's: it makes no difference that
        # could be measured, and what weighs texts was fitted with it.
        [result] = self.weights.align(encoding, prompt, [words], 2 * encoding.shape[1])
        return float(np.log(np.maximum(result.text_token_probs, _LEAST_PROBABILITY)).sum())

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        """Align a text with the sound: when does each of its tokens begin?

        Args:
            prompt: of the decode that wrote the text.
            seconds: of the sound; what follows in the encoding is padding.

        Returns:
            None for a text without words, or one that fills all places of the decoder.
        """
        words = self.tokens(text)
        if not words or len(prompt) + len(words) + 1 > _POSITIONS:
            return None
        frames = min(encoding.shape[1], math.ceil(seconds / _STEP))
        # CTranslate2 puts <|notimestamps|>, the prompt's last token, there itself.
        [result] = self.weights.align(encoding, prompt[:-1], [words], 2 * frames)
        starts: dict[int, float] = {}
        for token, frame in result.alignments:
            starts.setdefault(token, _STEP * frame)
        return Alignment(
            tuple(self._tokenizer.decode([word]) for word in words),
            tuple(starts[token] for token in range(len(words))),
            starts.get(len(words), seconds),  # of the end-of-text token
        )

    def prefix(self, text: str, tokens: int) -> str:
        """Return the beginning of a text that is so many tokens long."""
        return str(self._tokenizer.decode(self.tokens(text)[:tokens])).strip()

    def score_end_of_text(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> EndOfTextScores | None:
        """What the decoder would write behind a text: a mark perhaps? And where that ends.

        It is asked for one mark at a time with all the words at once, not made to write the words
        again: that takes half of the time.
        """
        words = self.tokens(text.rstrip(".,!?… -。？！"))
        if len(prompt) + len(words) + 2 > _POSITIONS:  # the mark, and the end of the text
            return None
        frames = min(encoding.shape[1], math.ceil(seconds / _STEP))
        said = text.rstrip()[-1:]
        stop, cut, trail = (
            # CTranslate2 puts <|notimestamps|>, the prompt's last token, there itself.
            self.weights.align(encoding, prompt[:-1], [[*words, mark]], 2 * frames)[0]
            for mark in (self._stops.get(said, self._stops["."]), self._dash, self._ellipsis)
        )
        # The mark is aligned as well: with what comes after the last word.
        ends = (at for token, at in stop.alignments if token == len(words))
        return EndOfTextScores(
            full_stop=_log(stop.text_token_probs[-1]),
            dash=_log(cut.text_token_probs[-1]),
            ellipsis=_log(trail.text_token_probs[-1]),
            last_word=_log(stop.text_token_probs[-2]),
            text_end=_STEP * next(ends, frames),
        )

    def _decoded(self, result: Any, budget: int) -> Decoded:
        ids: list[int] = result.sequences_ids[0]
        text, *alternatives = (
            self._tokenizer.decode([i for i in each if i < self._end]).strip()
            for each in result.sequences_ids
        )
        # A score is a mean without the end-of-text token, which counts as well.
        scores = [
            score * len(each)
            for score, each in zip(result.scores, result.sequences_ids, strict=True)
        ]
        return Decoded(
            text=text,
            alternatives=tuple(alternatives),
            scores=tuple(scores),
            tokens=len(ids),
            avg_logprob=scores[0] / (len(ids) + 1),
            no_speech_prob=result.no_speech_prob,
            budget=budget,
        )

    def _suppressed(self, allowed: frozenset[int]) -> Iterator[int]:
        """The tokens that are not to be written, where only some are."""
        return (i for i in range(self._end if allowed else 0) if i not in allowed)

    def _spell(self, word: str) -> frozenset[int]:
        """The tokens of a word, at the beginning of a text and behind another word."""
        ids: set[int] = set()
        for form in (word, word.lower(), word[:1].upper() + word[1:]):
            for text in (form, " " + form):
                ids.update(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return frozenset(i for i in ids if i < self._end)

    def _mark(self, mark: str) -> int:
        """The token of a mark right behind a word."""
        return int(self._tokenizer.encode(mark, add_special_tokens=False).ids[0])

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise EngineError(f"the model's tokenizer knows no {token}")
        return int(number)


def _log(probability: float) -> float:
    return math.log(max(probability, _LEAST_PROBABILITY))
