"""Acoustic model: the operations of a Whisper model that the pipeline is made of. Pure.

The pipeline holds the policy and knows no inference library. It sees encodings, which only the
model that made them can read, tokens, and texts. An acoustic model reports a failure as
RuntimeError.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NewType, Protocol

from ...audio.pcm import Samples
from ...speech.turn_classifier import EndOfTextScores
from ..protocol import DecodeOptions
from .coverage import Alignment
from .hallucination import Decoded
from .spectrogram import Features

Encoding = NewType("Encoding", object)
"""Output of the encoder for a batch of clips. Opaque: only the model that made it reads it."""


class Tokenizer(Protocol):
    """Tokens of a Whisper model, whichever library runs the model."""

    @property
    def multilingual(self) -> bool:
        """False for a model that only knows English; its prompt names no language."""
        ...

    def prompt(
        self, options: DecodeOptions, language: str, names: Sequence[str] = (), prefix: str = ""
    ) -> list[int]:
        """Return the tokens that the decoder continues.

        Args:
            language: Whisper's code.
            names: hotwords to put into the prompt, most important first; those that do not fit
                are left out.
            prefix: beginning of the text; the decoder continues it.
        """
        ...

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text that follows another text, with a space before it."""
        ...

    def words(self, text: str, *, spaced: bool) -> list[tuple[str, int]]:
        """Split a text into words.

        Args:
            spaced: False for a language without spaces between words. Each word is then as
                short as the tokens allow.

        Returns:
            For each word its text, with the space before it and the punctuation after it, and
            its number of tokens in encode(text).
        """
        ...

    def pieces(self, text: str) -> list[bytes]:
        """Return the bytes of each token in encode(text)."""
        ...

    def first_tokens(self, text: str, count: int) -> str:
        """Return the first tokens of a text, as text."""
        ...

    def spellings(self, words: Iterable[str]) -> frozenset[int]:
        """Return the tokens that spell some words, and those of numbers and punctuation."""
        ...


class AcousticModel(Protocol):
    """Loaded Whisper model. Blocking: call it from the worker's threads only."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    def features(self, samples: Samples) -> Features:
        """Return the input of the encoder for some samples, shape (bands, frames)."""
        ...

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """Encode a batch of clips.

        Args:
            features: one array per clip, shape (bands, any number of frames).
            frames: length to which each clip is padded or cut.
        """
        ...

    def clip_encodings(self, encoding: Encoding, clips: int) -> list[Encoding]:
        """Return the encoding of each clip of a batch, which takes no computation.

        They may share the memory of the batch's.

        Args:
            encoding: of all clips.
            clips: number of clips in the batch.
        """
        ...

    def detect_language(self, encoding: Encoding) -> list[dict[str, float]]:
        """Return, for each clip, the probability of each language that the model knows.

        Returns:
            One mapping per clip, from Whisper's codes to probabilities that sum to 1.
        """
        ...

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
        """Decode each clip: continue its prompt over its encoding.

        Args:
            encoding: of all clips.
            prompts: one per clip.
            beam: beam width; 1 = greedy.
            budgets: maximum number of tokens for each clip.
            temperature: 0 = beam search. Above 0, as many texts are sampled as the beam is wide,
                and ranked by their mean log-probability.
            allowed: tokens that the decoder may generate; empty = any.

        Returns:
            One result per clip, in order, each with an n-best list as long as the beam is wide.
            The texts begin with the prompt's prefix.
        """
        ...

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        """Score texts over each encoding.

        Args:
            encodings: of one clip each.

        Returns:
            For each text its log-probability (natural) over each encoding, without the
            end-of-text token; -inf for a text that does not fit into the decoder.
        """
        ...

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        """Align a text with the audio, to find the time at which each of its tokens begins.

        Args:
            encoding: of one clip.
            prompt: prompt of the decode that gave the text, without its prefix.
            seconds: length of the audio; the rest of the encoding is padding.

        Returns:
            None for a text without words, or one that does not fit into the decoder.
        """
        ...

    def score_end_of_text(
        self,
        encoding: Encoding,
        prompt: list[int],
        texts: Sequence[str],
        seconds: Sequence[float],
    ) -> list[EndOfTextScores | None]:
        """Score the punctuation that the decoder expects after texts, and find the texts' ends.

        Args:
            encoding: of all clips.
            prompt: prompt of the decodes that gave the texts, without its prefix.
            texts: one per clip; "" = none.
            seconds: length of the audio of each clip; the rest of the encoding is padding.

        Returns:
            One result per clip; None for an empty text, and for one that does not fit into the
            decoder.
        """
        ...
