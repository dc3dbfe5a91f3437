"""A model that hears what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer


class Undecided:
    """Hears one thing, and says how likely it holds others.

    Args:
        heard: the likeliest first.
        likely: texts whose every token it holds for likely; the others are hardly so.
        again: what it hears instead from the second time on.
        score: mean log-probability of what it hears.
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
        score: float = -0.2,
    ) -> None:
        self.asked: list[str] = []  # the prompts it had when it was asked how likely texts are
        self.suppressed: list[set[int]] = []  # the tokens it was not to write, by call
        self.asked_of: list[int] = []  # of which encoding: sounds that had been encoded then
        self.features: list[npt.NDArray[np.float32]] = []  # shape (bands, frames)
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._heard = [self.ids(text) for text in heard]
        self._again = [self.ids(text) for text in again] or self._heard
        self._score = score
        self._likely = [self.ids(text) for text in likely]

    def encode(self, features: ctranslate2.StorageView) -> ctranslate2.StorageView:
        self.features += list(np.array(features))
        number = len(self.features)
        return ctranslate2.StorageView.from_array(np.full((1, 4, 1), number, np.float32))

    def generate(
        self, encoding: ctranslate2.StorageView, prompts: Sequence[list[int]], **options: Any
    ) -> list[Any]:
        self.suppressed.append(set(options["suppress_tokens"]))
        heard, self._heard = self._heard, self._again
        return [
            SimpleNamespace(
                sequences_ids=heard, scores=[self._score] * len(heard), no_speech_prob=0.0
            )
            for _ in prompts
        ]

    def align(
        self,
        encoding: ctranslate2.StorageView,
        prompt: list[int],
        texts: Sequence[list[int]],
        frames: int,
    ) -> list[Any]:
        self.asked_of.append(int(np.array(encoding).flat[0]))
        self.asked.append(self._tokenizer.decode(prompt, skip_special_tokens=False))
        return [
            SimpleNamespace(text_token_probs=[0.9 if ids in self._likely else 0.1] * len(ids))
            for ids in texts
        ]

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(" " + text, add_special_tokens=False).ids
        return ids
