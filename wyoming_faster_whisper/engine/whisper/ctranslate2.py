"""CTranslate2's Whisper models; the only file of the engine that uses ctranslate2.

The operations are: encode audio, detect its language, continue a prompt by beam search, score
a text over an encoding, score the end of a text, and align a text with the audio. pipeline.py
combines them. CTranslate2 reports failures as RuntimeError.
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

_POSITIONS = 448  # positions of the decoder in tokens, the prompt included
_LONGEST_PROMPT = _POSITIONS // 2 - 1  # tokens; Whisper cuts a prompt to the same length
_STEP = 0.02  # seconds of audio per frame of the encoding
_LEAST_PROBABILITY = 1e-30  # floor for a token; in float32 smaller ones may be zero
_LAST_VERSION = 255  # highest plausible version of CTranslate2's file format, now at 6
_MARKS = tuple(",.?!%'-")
_NUMBERS = tuple(map(str, range(101)))  # as in "to 30%"

Weights: TypeAlias = ctranslate2.models.Whisper
Encoding: TypeAlias = ctranslate2.StorageView
"""Output of the encoder, shape (clips, frames / 2, width)."""


def load_model(
    directory: Path, *, device: str, compute_type: str, threads: int, workers: int = 1
) -> Weights:
    """Load the weights of a model.

    For base this takes half a second, and for a moment twice the model's size in memory.

    A thread of its own loads the model and then ends. The threads that CTranslate2 gets from
    libgomp for loading live as long as the thread that loads. If there are more of them than
    cores, libgomp lets each of them sleep whenever it waits for another, and a step of the
    decoder takes up to three times as long.

    If the GPU cannot be used, the model is loaded on the CPU, and a warning says why.

    Args:
        directory: folder with model.bin and the other files of the model.
        device: cpu, cuda, cuda:N or auto.
        compute_type: CTranslate2's name; "default" is int8 on a CPU, float16 on a GPU.
        threads: number of threads that decode one batch.
        workers: number of batches that are decoded at the same time, with the same weights.

    Raises:
        ModelError: the model cannot be loaded.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_load, directory, device, compute_type, threads, workers).result()


def _load(directory: Path, device: str, compute_type: str, threads: int, workers: int) -> Weights:
    name, _, index = device.partition(":")

    def load(name: str, compute_type: str) -> Weights:
        if compute_type == "default":
            # CTranslate2's own default is the type of the file. That is usually float16, which
            # a CPU would convert to float32.
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
            # Some CUDA libraries are loaded only at their first use, so use them now.
            model.encode(_nothing_heard(model))
        _LOGGER.info("Loaded %s on %s as %s", directory, name, model.compute_type)
        return model

    if name == "cuda" or (name == "auto" and ctranslate2.get_cuda_device_count()):
        try:
            return load("cuda", compute_type)
        except (RuntimeError, ValueError) as error:
            _LOGGER.warning("--device %s cannot be used, using the CPU: %s", device, error)
            if compute_type not in ctranslate2.get_supported_compute_types("cpu"):
                compute_type = "default"
    try:
        return load("cpu", compute_type)
    except (RuntimeError, ValueError) as error:
        raise ModelError(_why(error, directory, compute_type)) from error


def _why(error: Exception, directory: Path, compute_type: str) -> str:
    """Explain why a model does not load, from CTranslate2's error message."""
    said, file = str(error), directory / "model.bin"
    if "is incomplete" in said or "invalid payload size" in said:
        return f"{file} is cut off or damaged; copy or download it again ({said})"
    version = re.search(r"model has binary version v(\d+)", said)
    if version and int(version[1]) > _LAST_VERSION:
        return (
            f"{file} is not a CTranslate2 model; give --model a name, or a directory with a "
            "model that ct2-transformers-converter has written"
        )
    return f"the model in {directory} does not load as {compute_type}: {said}"


def _nothing_heard(model: Weights) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, 100), np.float32))


def use_backend() -> None:
    """Call ctranslate2 and tokenizers without a model, to find out if they run on this CPU."""
    import tokenizers

    ctranslate2.get_supported_compute_types("cpu")
    ctranslate2.StorageView.from_array(np.zeros((4, 4), np.float32))
    tokenizers.Tokenizer(tokenizers.models.BPE())


class CTranslate2Whisper:
    """Loaded Whisper model and its tokenizer. Blocking: call it from the worker's threads only.

    Args:
        weights: from load_model(). WhisperEngine deletes and sets the attribute to unload and
            reload the model.
        tokenizer: path of the model's tokenizer.json.
        takes_prompt: False for distilled models, which are less accurate with a prompt.

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
        """Return the input of the encoder for some samples, shape (bands, frames)."""
        return to_features(self.spectrogram.power(samples))

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """Encode a batch of clips, each padded with zeros, or cut, to the same length.

        faster-whisper pads with zeros as well. Zero is louder than silence; padding with
        silence is no more accurate.

        Args:
            features: one array per clip, shape (bands, any number of frames).
            frames: length to which each clip is padded or cut.
        """
        padded = np.zeros((len(features), self.spectrogram.bands, frames), np.float32)
        for row, some in zip(padded, features, strict=True):
            width = min(frames, some.shape[1])
            row[:, :width] = some[:, :width]
        return self.weights.encode(ctranslate2.StorageView.from_array(padded))

    def detect_language(
        self, encoding: Encoding, among: tuple[str, ...]
    ) -> list[tuple[str, float]]:
        """Detect the language of each clip.

        Args:
            among: candidate languages, Whisper's codes; () = all.

        Returns:
            For each clip the most probable candidate and its probability, 0 to 1. If the model
            supports none of the candidates, the most probable language of all.
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
        """Return the tokens that the decoder continues.

        Args:
            language: Whisper's code.
            names: hotwords to put into the prompt, most important first.
        """

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
        """Return the tokens of a text that follows another text, with a space before it."""
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        # "<|startoftranscript|>" in a name must not act as a control token.
        return [i for i in ids if i < self._end]

    def spellings(self, words: Iterable[str]) -> frozenset[int]:
        """Return the tokens that spell some words, and those of numbers and punctuation."""
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
        """Decode each clip: continue its prompt over its encoding.

        Args:
            encoding: of all clips.
            prompts: one per clip.
            beam: beam width; 1 = greedy.
            budgets: maximum number of tokens for each clip.
            allowed: tokens that the decoder may write; empty = any.

        Returns:
            One result per clip, in order, each with an n-best list as long as the beam is wide.
        """
        prompt = max(map(len, prompts))
        budgets = [min(budget, _POSITIONS - prompt) for budget in budgets]
        # CTranslate2 stops at min(max_length / 2, max_length - prompt).
        longest = max(2 * max(budgets), prompt + max(budgets))
        results: Any = self.weights.generate(
            encoding,
            list(prompts),
            beam_size=beam,
            num_hypotheses=beam,  # the beam search finds them in any case
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
        """Run the decoder for a fixed number of tokens per clip, to measure its time.

        The end-of-text token is suppressed, so the audio has no influence on the time.
        """
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
        """Score texts over each encoding.

        As many texts are scored at the same time as the model has workers. In one batch they
        would be no faster, and each text would need the memory that the encoding takes in all
        the decoder's layers.

        Returns:
            For each text its log-probability (natural) over each encoding, with the end-of-text
            token; -inf for a text that does not fit into the decoder.
        """
        with ThreadPoolExecutor(self.weights.num_workers) as pool:
            asked = {
                text: [pool.submit(self._score, encoding, prompt, text) for encoding in encodings]
                for text in texts
            }
        return {text: [answer.result() for answer in answers] for text, answers in asked.items()}

    def _score(self, encoding: Encoding, prompt: list[int], text: str) -> float:
        """Score a text and its end-of-text token in one step of the decoder, without a beam."""
        # Without the end-of-text token a truncated text always scores higher than the whole.
        words = [*self.tokens(text), self._end]
        if len(prompt) + len(words) + 2 > _POSITIONS:  # <|notimestamps|>, end of text
            return -math.inf
        # align() aligns the words with the audio as well; that result is not used. CTranslate2
        # adds a <|notimestamps|> of its own after the prompt's. It makes no measurable
        # difference, and the constants of rescoring and biasing were fitted with it.
        [result] = self.weights.align(encoding, prompt, [words], 2 * encoding.shape[1])
        return float(np.log(np.maximum(result.text_token_probs, _LEAST_PROBABILITY)).sum())

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        """Align a text with the audio, to find the time at which each of its tokens begins.

        Args:
            encoding: of one clip.
            prompt: prompt of the decode that wrote the text.
            seconds: length of the audio; the rest of the encoding is padding.

        Returns:
            None for a text without words, or one that does not fit into the decoder.
        """
        words = self.tokens(text)
        if not words or len(prompt) + len(words) + 1 > _POSITIONS:
            return None
        frames = min(encoding.shape[1], math.ceil(seconds / _STEP))
        # CTranslate2 adds <|notimestamps|>, the prompt's last token, itself.
        [result] = self.weights.align(encoding, prompt[:-1], [words], 2 * frames)
        starts: dict[int, float] = {}
        for token, frame in result.alignments:
            starts.setdefault(token, _STEP * frame)
        return Alignment(
            tuple(self._tokenizer.decode([word]) for word in words),
            tuple(starts[token] for token in range(len(words))),
            starts.get(len(words), seconds),  # start of the end-of-text token
        )

    def prefix(self, text: str, tokens: int) -> str:
        """Return the first tokens of a text, as text."""
        return str(self._tokenizer.decode(self.tokens(text)[:tokens])).strip()

    def score_end_of_text(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> EndOfTextScores | None:
        """Score the punctuation that the decoder expects after a text, and find the text's end.

        Each mark is scored together with all the words, in one step of the decoder. That takes
        half the time of letting the decoder write the words again.

        Args:
            encoding: of one clip.
            prompt: prompt of the decode that wrote the text.
            seconds: length of the audio; the rest of the encoding is padding.

        Returns:
            None for a text that does not fit into the decoder.
        """
        words = self.tokens(text.rstrip(".,!?… -。？！"))
        if len(prompt) + len(words) + 2 > _POSITIONS:  # the mark, end of text
            return None
        frames = min(encoding.shape[1], math.ceil(seconds / _STEP))
        said = text.rstrip()[-1:]
        stop, cut, trail = (
            # CTranslate2 adds <|notimestamps|>, the prompt's last token, itself.
            self.weights.align(encoding, prompt[:-1], [[*words, mark]], 2 * frames)[0]
            for mark in (self._stops.get(said, self._stops["."]), self._dash, self._ellipsis)
        )
        # The mark is aligned as well, with the audio after the last word.
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
        # CTranslate2's score is the sum over all tokens, with the end-of-text token, divided by
        # the number of tokens without it.
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
        """Yield the text tokens that are not allowed; none if all are."""
        return (i for i in range(self._end if allowed else 0) if i not in allowed)

    def _spell(self, word: str) -> frozenset[int]:
        """Return the tokens of a word at the beginning of a text and after another word."""
        ids: set[int] = set()
        for form in (word, word.lower(), word[:1].upper() + word[1:]):
            for text in (form, " " + form):
                ids.update(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return frozenset(i for i in ids if i < self._end)

    def _mark(self, mark: str) -> int:
        """Return the token of a punctuation mark directly after a word."""
        return int(self._tokenizer.encode(mark, add_special_tokens=False).ids[0])

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise EngineError(f"the model's tokenizer has no token {token}")
        return int(number)


def _log(probability: float) -> float:
    return math.log(max(probability, _LEAST_PROBABILITY))
