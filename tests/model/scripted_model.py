"""A model that hears what a test says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

_STEP = 0.02  # seconds of sound in a frame of the encoding
_APART = 0.2  # mean log-probability between a hypothesis and the next


class Undecided:
    """Hears one thing, and says how likely it holds others.

    Args:
        heard: the hypotheses of the first decode, the likeliest first.
        likely: texts whose every token it holds for likely; the others are hardly so.
        again: what it hears instead in the second decode.
        after: what it hears in those after that; the same as before if empty.
        score: mean log-probability of what it hears.
        no_speech_prob: its no-speech probability.
        starts: for a text, the seconds at which its words begin and at which it ends; in other
            texts every token takes the same time.
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
        self.asked: list[str] = []  # the prompts it had when it was asked how likely texts are
        self.asked_of: list[int] = []  # of which encoding: sounds that had been encoded then
        self.aligned: list[str] = []  # texts that were compared with the sound
        self.suppressed: list[set[int]] = []  # the tokens it was not to write, by call
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
            if ids[-1] == self._end:  # how likely is a text, its end included?
                self.asked_of.append(int(np.array(encoding).flat[0]))
                self.asked.append(self._tokenizer.decode(prompt, skip_special_tokens=False))
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
        """A token and the frame at which it begins, the end of the text included."""
        seconds = self._starts.get(self._tokenizer.decode(list(ids)).strip())
        if seconds is None:
            return [(at, at * frames // (len(ids) + 1)) for at in range(len(ids) + 1)]
        *words, end = seconds
        first = [self._tokenizer.decode([token]).startswith(" ") for token in ids]
        # All tokens of a word begin with it; the last of them, a mark for example, lasts.
        starts = [words[sum(first[: at + 1]) - 1] for at in range(len(ids))]
        return [(at, round(second / _STEP)) for at, second in enumerate([*starts, end])]
