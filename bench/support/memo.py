"""An acoustic model that remembers its results on disk, to repeat experiments on policy.

The pipeline's policy asks for few different results: a clip in one of a few windows, decoded or
scored. With each of them on disk, another policy over the same clips takes milliseconds. The CPU
time that a result took when it was computed is kept with it.
"""

from __future__ import annotations

import hashlib
import pickle
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.whisper.acoustic_model import (
    AcousticModel,
    Encoding,
    Tokenizer,
)
from wyoming_faster_whisper.engine.whisper.coverage import Alignment
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded
from wyoming_faster_whisper.engine.whisper.spectrogram import Features
from wyoming_faster_whisper.engine.whisper.tokens import WhisperTokenizer
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.turn_classifier import EndOfTextScores

from .models import load_whisper, model_directory

T = TypeVar("T")


class Store:
    """Results by key, with the CPU seconds that each took.

    Args:
        path: SQLite file, created if missing; None = nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._file.execute(
            "create table if not exists results (key text primary key, value blob, cpu real)"
        )

    def get(self, key: str, compute: Callable[[], T]) -> tuple[T, float]:
        """Return a result and its CPU seconds; compute it unless it is known."""
        row = self._file.execute(
            "select value, cpu from results where key = ?", (key,)
        ).fetchone()
        if row is not None:
            return pickle.loads(row[0]), row[1]
        began = time.process_time()
        value = compute()
        cpu = time.process_time() - began
        self._file.execute(
            "insert or replace into results values (?, ?, ?)", (key, pickle.dumps(value), cpu)
        )
        return value, cpu


@dataclass(slots=True)
class _Lazy:
    """An encoding that is computed when a result needs it."""

    key: str
    compute: Callable[[], Encoding]
    value: Encoding | None = None

    def get(self) -> Encoding:
        if self.value is None:
            self.value = self.compute()
        return self.value


class MemoModel:
    """Acoustic model whose results are kept. See AcousticModel.

    Args:
        name: of the model and how it runs; results of other names are not used.
        load: loads the model; called at the first result that is not known.
        tokenizer: the model's.
    """

    def __init__(
        self, name: str, load: Callable[[], AcousticModel], tokenizer: Tokenizer, store: Store
    ) -> None:
        self.tokenizer = tokenizer
        self.cpu = 0.0  # CPU seconds of all results since it was last set to 0
        self._name = name
        self._load = load
        self._model: AcousticModel | None = None
        self._store = store

    def features(self, samples: Samples) -> Features:
        """See AcousticModel.features."""
        return self._loaded.features(samples)

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """See AcousticModel.encode. The encoder runs only if its output is needed."""
        key = key_of(self._name, "encode", frames, *features)

        def run() -> Encoding:
            return self._loaded.encode(features, frames)

        lazy = _Lazy(key, run)

        def timed() -> None:
            lazy.get()

        self._ask(key, timed)
        return Encoding(lazy)

    def clip_encodings(self, encoding: Encoding, clips: int) -> list[Encoding]:
        """See AcousticModel.clip_encodings."""
        lazy = _lazy(encoding)

        def cut(number: int) -> Encoding:
            return self._loaded.clip_encodings(lazy.get(), clips)[number]

        return [
            Encoding(_Lazy(key_of(lazy.key, "clip", number), partial(cut, number)))
            for number in range(clips)
        ]

    def detect_language(self, encoding: Encoding) -> list[dict[str, float]]:
        """See AcousticModel.detect_language."""
        lazy = _lazy(encoding)
        return self._ask(
            key_of(lazy.key, "languages"), lambda: self._loaded.detect_language(lazy.get())
        )

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
        lazy = _lazy(encoding)
        return self._ask(
            key_of(lazy.key, "generate", prompts, beam, budgets, temperature, sorted(allowed)),
            lambda: self._loaded.generate(
                lazy.get(), prompts, beam, budgets, temperature=temperature, allowed=allowed
            ),
        )

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        """See AcousticModel.score."""
        lazies, asked = [_lazy(each) for each in encodings], list(texts)
        return self._ask(
            key_of("score", *(each.key for each in lazies), prompt, asked),
            lambda: self._loaded.score([each.get() for each in lazies], prompt, asked),
        )

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        """See AcousticModel.align."""
        lazy = _lazy(encoding)
        return self._ask(
            key_of(lazy.key, "align", prompt, text, seconds),
            lambda: self._loaded.align(lazy.get(), prompt, text, seconds),
        )

    def score_end_of_text(
        self,
        encoding: Encoding,
        prompt: list[int],
        texts: Sequence[str],
        seconds: Sequence[float],
    ) -> list[EndOfTextScores | None]:
        """See AcousticModel.score_end_of_text."""
        lazy = _lazy(encoding)
        return self._ask(
            key_of(lazy.key, "end", prompt, texts, seconds),
            lambda: self._loaded.score_end_of_text(lazy.get(), prompt, texts, seconds),
        )

    @property
    def _loaded(self) -> AcousticModel:
        if self._model is None:
            self._model = self._load()
        return self._model

    def _ask(self, key: str, compute: Callable[[], T]) -> T:
        value, cpu = self._store.get(key, compute)
        self.cpu += cpu
        return value


def remembered_whisper(name: str, threads: int, cache: Path | None) -> MemoModel:
    """Return a Whisper model by name, as int8, whose results are kept in a file."""
    directory = model_directory(name)
    return MemoModel(
        f"{choose(name, []).name} int8",
        partial(load_whisper, directory, threads),
        WhisperTokenizer(directory / "tokenizer.json", multilingual=not name.endswith(".en")),
        Store(cache),
    )


def _lazy(encoding: Any) -> _Lazy:
    assert isinstance(encoding, _Lazy)
    return encoding


def key_of(*parts: object) -> str:
    """Return a digest of some values; arrays count with all their elements."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()
