"""A fake CTranslate2 model with scripted hypotheses and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

_STEP = 0.02  # seconds of audio per frame of the encoding
_APART = 0.2  # mean log-probability between a hypothesis and the next


class ScriptedModel:
    """Model with scripted n-best lists, scores and alignments.

    Args:
        heard: hypotheses of the first decode, likeliest first.
        likely: texts that get a high score; all others get a low one.
        again: hypotheses of the second decode; if empty, as in the first.
        after: hypotheses of all later decodes; if empty, as in the one before.
        score: mean log-probability of the first hypothesis.
        no_speech: no-speech probability.
        starts: for a text, the start of each word and the end of the text, in seconds; in other
            texts all tokens have the same length.
    """

    n_mels = 80
    num_workers = 1
    is_multilingual = False

    def __init__(
        self,
        directory: Path,
        *,
        heard: Sequence[str],
        likely: Sequence[str],
        again: Sequence[str] = (),
        after: Sequence[str] = (),
        score: float = -0.2,
        no_speech: float = 0.0,
        starts: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.scored_prompts: list[str] = []  # prompt of each scored text
        self.scored_encodings: list[int] = []  # encoding of each scored text, numbered from 1
        self.aligned: list[str] = []  # texts that were aligned with the audio
        self.suppressed: list[set[int]] = []  # suppressed tokens of each decode
        self.features: list[npt.NDArray[np.float32]] = []  # shape (bands, frames)
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._end = self._tokenizer.token_to_id("<|endoftext|>")
        passes = [texts for texts in (heard, again, after) if texts]
        self._heard = [[self.ids(text) for text in texts] for texts in passes]
        self._score = score
        self._no_speech = no_speech
        self._likely = [self.ids(text) for text in likely]
        self._starts = starts or {}

    def encode(self, features: ctranslate2.StorageView) -> ctranslate2.StorageView:
        sounds = np.array(features)
        self.features += list(sounds)
        number, frames = len(self.features), sounds.shape[2] // 2
        return ctranslate2.StorageView.from_array(np.full((1, frames, 1), number, np.float32))

    def generate(
        self, encoding: ctranslate2.StorageView, prompts: Sequence[list[int]], **options: Any
    ) -> list[Any]:
        self.suppressed.append(set(options["suppress_tokens"]))
        heard = self._heard.pop(0) if len(self._heard) > 1 else self._heard[0]
        scores = [self._score - _APART * rank for rank in range(len(heard))]
        return [
            SimpleNamespace(sequences_ids=heard, scores=scores, no_speech_prob=self._no_speech)
            for _ in prompts
        ]

    def align(
        self,
        encoding: ctranslate2.StorageView,
        prompt: list[int],
        texts: Sequence[list[int]],
        frames: int,
    ) -> list[Any]:
        for ids in texts:
            if ids[-1] == self._end:  # scoring of a text with its end, not an alignment
                self.scored_encodings.append(int(np.array(encoding).flat[0]))
                self.scored_prompts.append(
                    self._tokenizer.decode(prompt, skip_special_tokens=False)
                )
            else:
                self.aligned.append(self._tokenizer.decode(ids).strip())
        return [
            SimpleNamespace(
                text_token_probs=[0.9 if self._is_likely(ids) else 0.1] * len(ids),
                alignments=self._alignments(ids, frames // 2),
            )
            for ids in texts
        ]

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(" " + text, add_special_tokens=False).ids
        return ids if text else []

    def _is_likely(self, ids: list[int]) -> bool:
        return [i for i in ids if i != self._end] in self._likely

    def _alignments(self, ids: Sequence[int], frames: int) -> list[tuple[int, int]]:
        """Return (token index, first frame) of each token and of the end of the text."""
        seconds = self._starts.get(self._tokenizer.decode(list(ids)).strip())
        if seconds is None:
            return [(at, at * frames // (len(ids) + 1)) for at in range(len(ids) + 1)]
        *words, end = seconds
        first = [self._tokenizer.decode([token]).startswith(" ") for token in ids]
        # All tokens of a word start together, so the last one, often punctuation, is the longest.
        starts = [words[sum(first[: at + 1]) - 1] for at in range(len(ids))]
        return [(at, round(second / _STEP)) for at, second in enumerate([*starts, end])]
