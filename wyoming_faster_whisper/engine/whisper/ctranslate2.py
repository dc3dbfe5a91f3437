"""CTranslate2's Whisper models as acoustic models (acoustic_model.py).

CTranslate2 reports failures as RuntimeError.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import ctranslate2
import numpy as np

from ...speech.turn_classifier import EndOfTextScores
from .acoustic_model import Encoding
from .coverage import Alignment
from .hallucination import Decoded
from .loaded import LoadedModel
from .spectrogram import Features, padded
from .tokens import POSITIONS
from .weights import Weights

_STEP = 0.02  # seconds of audio per frame of the encoding
_LEAST_PROBABILITY = 1e-30  # floor for a token; in float32 smaller ones may be zero
# Frames of audio; longer windows are encoded and aligned one at a time, because the memory that
# this takes grows with the square of the length.
_SPACIOUS = 1200


class CTranslate2Whisper(LoadedModel[Weights]):
    """Loaded Whisper model and its tokenizer. See AcousticModel and LoadedModel."""

    def _set_up(self) -> None:
        self._spacious = threading.Lock()

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """See AcousticModel.encode."""
        batch = padded(features, self.spectrogram.bands, frames)
        # A StorageView of shape (clips, frames / 2, width).
        with self._alone(frames):
            return Encoding(self.weights.encode(ctranslate2.StorageView.from_array(batch)))

    def clip_encodings(self, encoding: Encoding, clips: int) -> list[Encoding]:
        """See AcousticModel.clip_encodings."""
        if clips == 1:
            return [encoding]
        batch: Any = encoding
        # NumPy reads only what is in main memory, and not as bfloat16. The decoder moves and
        # converts what it gets.
        if batch.device != "cpu":
            batch = batch.to_device(ctranslate2.Device.cpu)
        if batch.dtype == ctranslate2.DataType.bfloat16:
            batch = batch.to(ctranslate2.DataType.float32)
        array = np.asarray(batch)
        return [
            Encoding(ctranslate2.StorageView.from_array(array[number : number + 1]))
            for number in range(clips)
        ]

    def detect_language(self, encoding: Encoding) -> list[dict[str, float]]:
        """See AcousticModel.detect_language."""
        return [
            {token.strip("<|>"): float(share) for token, share in ranked}
            for ranked in self.weights.detect_language(encoding)
        ]

    def generate(
        self,
        encoding: Encoding,
        prompts: Sequence[list[int]],
        beam: int,
        budgets: Sequence[int],
        *,
        temperature: float = 0.0,
        allowed: frozenset[int] = frozenset(),
    ) -> list[Decoded]:
        """See AcousticModel.generate."""
        prompt = max(map(len, prompts))
        budgets = [min(budget, POSITIONS - prompt) for budget in budgets]
        # CTranslate2 stops at min(max_length / 2, max_length - prompt).
        longest = max(2 * max(budgets), prompt + max(budgets))
        results: Any = self.weights.generate(
            encoding,
            list(prompts),
            beam_size=1 if temperature else beam,
            num_hypotheses=beam,  # the beam search finds them in any case
            sampling_topk=0 if temperature else 1,  # 0 = sample from all tokens
            sampling_temperature=temperature or 1.0,
            max_length=longest,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1, *self._suppressed(allowed)],
        )
        return [
            self._decoded(result, budget) for result, budget in zip(results, budgets, strict=True)
        ]

    def _alone(self, frames: int) -> AbstractContextManager[object]:
        """Return a lock for a step that takes much memory, at most 120 MB with base."""
        return self._spacious if frames > _SPACIOUS else nullcontext()

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
            suppress_tokens=[-1, self.tokenizer.end],
        )

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        """See AcousticModel.score.

        As many texts are scored at the same time as the model has workers. In one batch they
        would be no faster, and each text would need the memory that the encoding takes in all
        the decoder's layers.
        """
        with ThreadPoolExecutor(self.weights.num_workers) as pool:
            asked = {
                text: [pool.submit(self._score, encoding, prompt, text) for encoding in encodings]
                for text in texts
            }
        return {text: [answer.result() for answer in answers] for text, answers in asked.items()}

    def _score(self, encoding: Encoding, prompt: list[int], text: str) -> float:
        """Score a text in one step of the decoder, without a beam."""
        # align() gives the end-of-text token probability 0, so the end is not scored.
        words = self.tokenizer.encode(text)
        if len(prompt) + len(words) + 3 > POSITIONS:  # <|notimestamps|>, end of text
            return -math.inf
        # align() aligns the words with the audio as well; that result is not used. CTranslate2
        # adds a <|notimestamps|> of its own after the prompt's. It makes no measurable
        # difference, and the constants of rescoring and biasing were fitted with it.
        [result] = self.weights.align(encoding, prompt, [words], 2 * _length(encoding))
        return float(np.log(np.maximum(result.text_token_probs, _LEAST_PROBABILITY)).sum())

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        """See AcousticModel.align."""
        words = self.tokenizer.encode(text)
        if not words or len(prompt) + len(words) + 1 > POSITIONS:
            return None
        # CTranslate2 adds <|notimestamps|>, the prompt's last token, itself.
        frames = 2 * _length(encoding, seconds)
        with self._alone(2 * _length(encoding)):
            [result] = self.weights.align(encoding, prompt[:-1], [words], frames)
        starts: dict[int, float] = {}
        for token, frame in result.alignments:
            starts.setdefault(token, _STEP * frame)
        return Alignment(
            tuple(self.tokenizer.decode([word]) for word in words),
            tuple(starts[token] for token in range(len(words))),
            starts.get(len(words), seconds),  # start of the end-of-text token
            tuple(map(_log, result.text_token_probs)),
        )

    def score_end_of_text(
        self,
        encoding: Encoding,
        prompt: list[int],
        texts: Sequence[str],
        seconds: Sequence[float],
    ) -> list[EndOfTextScores | None]:
        """See AcousticModel.score_end_of_text.

        Each mark is scored together with all the words, in one step of the decoder. That takes
        half the time of generating the words again.
        """
        known = self.marks.words(prompt, texts)
        words = [some or [] for some in known]
        stops = [self.marks.stop(text) for text in texts]
        frames = [_length(encoding, some) for some in seconds]

        def aligned(marks: Iterable[int]) -> list[Any]:
            # CTranslate2 adds <|notimestamps|>, the prompt's last token, itself.
            results: list[Any] = self.weights.align(
                encoding,
                prompt[:-1],
                [[*some, mark] for some, mark in zip(words, marks, strict=True)],
                [2 * count for count in frames],
            )
            return results

        if all(some is None for some in known):
            return [None] * len(texts)
        stop = aligned(stops)
        dash = aligned([self.marks.dash] * len(texts))
        ellipsis = aligned([self.marks.ellipsis] * len(texts))
        rows = zip(stop, dash, ellipsis, map(len, words), frames, strict=True)
        return [
            None if some is None else _end_scores(*row)
            for some, row in zip(known, rows, strict=True)
        ]

    def _decoded(self, result: Any, budget: int) -> Decoded:
        ids: list[int] = result.sequences_ids[0]
        text, *alternatives = (
            self.tokenizer.decode(each).strip() for each in result.sequences_ids
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
        return (i for i in range(self.tokenizer.end if allowed else 0) if i not in allowed)


def _length(encoding: Encoding, seconds: float = math.inf) -> int:
    """Return the frames of an encoding that hold audio, or all of them.

    Args:
        seconds: length of the audio; the rest of the encoding is padding.
    """
    length: int = cast(Any, encoding).shape[1]
    return min(length, math.ceil(seconds / _STEP)) if seconds < math.inf else length


def _end_scores(stop: Any, dash: Any, ellipsis: Any, words: int, frames: int) -> EndOfTextScores:
    """Read the scores of a text's end from its alignments with each mark after it.

    Args:
        words: number of tokens before the mark.
        frames: frames of the encoding that hold audio.
    """
    # The mark is aligned as well, with the audio after the last word.
    ends = (at for token, at in stop.alignments if token == words)
    return EndOfTextScores(
        full_stop=_log(stop.text_token_probs[-1]),
        dash=_log(dash.text_token_probs[-1]),
        ellipsis=_log(ellipsis.text_token_probs[-1]),
        last_word=_log(stop.text_token_probs[-2]),
        text_end=_STEP * next(ends, frames),
    )


def _log(probability: float) -> float:
    return math.log(max(probability, _LEAST_PROBABILITY))
