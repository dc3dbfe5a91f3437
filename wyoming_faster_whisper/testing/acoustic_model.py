"""Fake acoustic model, for tests of the Whisper pipeline and its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from ..audio.pcm import Samples
from ..engine.protocol import DecodeOptions
from ..engine.whisper.acoustic_model import Encoding
from ..engine.whisper.coverage import Alignment
from ..engine.whisper.hallucination import Decoded
from ..engine.whisper.prompting import build_prompt
from ..engine.whisper.spectrogram import HOP, Features
from ..speech.turn_classifier import EndOfTextScores

CONFIDENT = -0.1
"""Mean log-probability of a text that needs no second pass."""

_STEP = 0.2  # log-probability (natural, whole text) between two hypotheses
_LIKELY, _UNLIKELY = -1.0, -20.0  # log-probability (natural, whole text) in score()


def heard(
    *texts: str, avg_logprob: float = CONFIDENT, no_speech_prob: float = 0.0, tokens: int = 0
) -> Decoded:
    """Return the result of a pass.

    Args:
        texts: hypotheses, best first.
        avg_logprob: of the best one.
        tokens: number of tokens of the best one; 0 = one per word.
    """
    text, *alternatives = texts
    tokens = tokens or len(text.split())
    score = avg_logprob * (tokens + 1)
    return Decoded(
        text,
        tokens,
        avg_logprob,
        no_speech_prob,
        budget=100,
        alternatives=tuple(alternatives),
        scores=tuple(score - _STEP * rank for rank in range(len(texts))),
    )


class FakeTokenizer:
    """Fake tokenizer: a token is a word or a control token."""

    def __init__(self, *, multilingual: bool = False, takes_prompt: bool = True) -> None:
        self.multilingual = multilingual
        self._takes_prompt = takes_prompt
        self._ids: dict[str, int] = {}

    def prompt(
        self, options: DecodeOptions, language: str, names: Sequence[str] = (), prefix: str = ""
    ) -> list[int]:
        def fits(text: str) -> bool:
            return len(text.split()) <= options.max_prompt_tokens

        text = build_prompt(options.prompt, names, fits) if self._takes_prompt else ""
        return self.encode(f"{text} <|{language}|> <|{options.task}|> {prefix}")

    def pieces(self, text: str) -> list[bytes]:
        return [f" {word}".encode() for word in text.split()]

    def first_tokens(self, text: str, count: int) -> str:
        return " ".join(text.split()[:count])

    def words(self, text: str, *, spaced: bool) -> list[tuple[str, int]]:
        return [(f" {word}", 1) for word in text.split()]

    def spellings(self, words: Iterable[str]) -> frozenset[int]:
        return frozenset(self.encode(" ".join(words)))

    def encode(self, text: str) -> list[int]:
        return [self._ids.setdefault(word, len(self._ids)) for word in text.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        words = list(self._ids)
        return " ".join(words[token] for token in tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One call of encode()."""

    features: tuple[Features, ...]  # the loudest sample of every frame, shape (1, frames)
    frames: int


@dataclass(frozen=True, slots=True)
class Generated:
    """One call of generate()."""

    encoded: Encoded
    prompts: tuple[str, ...]
    beam: int
    temperature: float
    allowed: frozenset[str]  # words


@dataclass(frozen=True, slots=True)
class Scored:
    """One call of score()."""

    encoded: tuple[Encoded, ...]
    prompt: str
    texts: tuple[str, ...]


class FakeAcousticModel:
    """Fake acoustic model: it hears what a test says, and records what it is asked.

    Args:
        passes: result of each call of generate(): one for all clips of the batch, or one for
            each of them; an exception is raised. The last is also that of all later calls.
        likely: texts that score() finds probable; it finds all others improbable.
        starts: for a text, the seconds at which its words begin, and the second at which it
            ends. In any other text all words take the same time.
        languages: probability of each language in each clip, where detected.
        longer: languages detected in longer windows, by frames, if they differ from
            `languages`.
        multilingual: False for a model that only knows English.
        takes_prompt: False for a model that ignores prompt and names.
    """

    parallel = 1

    def __init__(
        self,
        *passes: Decoded | Sequence[Decoded] | Exception,
        likely: Sequence[str] = (),
        starts: Mapping[str, Sequence[float]] | None = None,
        languages: Sequence[Mapping[str, float]] = ({"en": 1.0},),
        longer: Mapping[int, Sequence[Mapping[str, float]]] | None = None,
        multilingual: bool = False,
        takes_prompt: bool = True,
    ) -> None:
        self.tokenizer = FakeTokenizer(multilingual=multilingual, takes_prompt=takes_prompt)
        self.encoded: list[Encoded] = []
        self.generated: list[Generated] = []
        self.scored: list[Scored] = []
        self.aligned: list[str] = []  # texts
        self.ends_scored: list[tuple[str, ...]] = []  # texts of each call
        self.timed: list[tuple[int, int]] = []  # beam width and clips of each test decode
        self.loaded = True
        self._passes = list(passes)
        self._likely = likely
        self._starts = starts or {}
        self._languages = languages
        self._longer = longer or {}

    def features(self, samples: Samples) -> Features:
        frames = np.abs(samples[: len(samples) // HOP * HOP]).reshape(-1, HOP)
        loudest: Features = frames.max(axis=1, initial=0.0)[None, :].astype(np.float32)
        return loudest

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        self.encoded.append(Encoded(tuple(features), frames))
        return Encoding(self.encoded[-1])

    def clip_encodings(self, encoding: Encoding, clips: int) -> list[Encoding]:
        encoded = cast(Encoded, encoding)
        if clips == 1:
            return [encoding]
        return [Encoding(Encoded((one,), encoded.frames)) for one in encoded.features]

    def detect_language(self, encoding: Encoding) -> list[dict[str, float]]:
        frames = cast(Encoded, encoding).frames
        return [dict(each) for each in self._longer.get(frames, self._languages)]

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
        encoded, decode = cast(Encoded, encoding), self.tokenizer.decode
        assert len(encoded.features) == len(prompts) == len(budgets)
        words = frozenset(decode([token]) for token in allowed)
        self.generated.append(
            Generated(encoded, tuple(map(decode, prompts)), beam, temperature, words)
        )
        result = self._passes.pop(0) if len(self._passes) > 1 else self._passes[0]
        if isinstance(result, Exception):
            raise result
        each = [result] * len(prompts) if isinstance(result, Decoded) else result
        return [replace(one, budget=some) for one, some in zip(each, budgets, strict=True)]

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        encoded = tuple(cast(Encoded, encoding) for encoding in encodings)
        assert all(len(one.features) == 1 for one in encoded)
        self.scored.append(Scored(encoded, self.tokenizer.decode(prompt), tuple(texts)))
        return {
            text: [_LIKELY if text in self._likely else _UNLIKELY] * len(encoded)
            for text in self.scored[-1].texts
        }

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        assert len(cast(Encoded, encoding).features) == 1
        self.aligned.append(text)
        words = text.split()
        if not words:
            return None
        even = np.linspace(0.0, seconds, len(words) + 1).tolist()
        *starts, end = self._starts.get(text, even)
        texts = tuple(f" {word}" for word in words)
        return Alignment(texts, tuple(starts), end, (CONFIDENT,) * len(words))

    def score_end_of_text(
        self,
        encoding: Encoding,
        prompt: list[int],
        texts: Sequence[str],
        seconds: Sequence[float],
    ) -> list[EndOfTextScores | None]:
        assert len(cast(Encoded, encoding).features) == len(texts) == len(seconds)
        self.ends_scored.append(tuple(texts))
        return [
            EndOfTextScores(-1.0, -5.0, -6.0, -0.1, text_end=end) if text else None
            for text, end in zip(texts, seconds, strict=True)
        ]

    def time_decoder(
        self, encoding: Encoding, prompts: Sequence[list[int]], beam: int, count: int
    ) -> None:
        self.timed.append((beam, len(prompts)))

    def unload(self) -> None:
        self.loaded = False

    def load(self) -> None:
        self.loaded = True
