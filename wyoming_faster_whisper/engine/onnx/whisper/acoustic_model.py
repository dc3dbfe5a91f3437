"""Whisper over ONNX Runtime as an acoustic model (engine/whisper/acoustic_model.py)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np

from ....speech.turn_classifier import EndOfTextScores
from ...whisper.acoustic_model import Encoding
from ...whisper.coverage import Alignment
from ...whisper.hallucination import Decoded
from ...whisper.loaded import LoadedModel
from ...whisper.spectrogram import Features, padded
from ...whisper.tokens import POSITIONS
from ..runtime import log_softmax
from .alignment import first_positions
from .generation import Generation
from .graphs import Encoded, Floats, Graphs

_STEP = 0.02  # seconds of audio per position of the encoding
_LEAST = math.log(1e-30)  # floor of a token's log-probability, as with CTranslate2
_TOGETHER = 256  # tokens whose logits are computed at once; each takes 200 KB


class OnnxWhisper(LoadedModel[Graphs]):
    """Loaded Whisper model and its tokenizer. See AcousticModel and LoadedModel."""

    def _set_up(self) -> None:
        self._layout = self.weights.layout
        self._generation = Generation(self.tokenizer, self._layout)
        self._start = self.tokenizer.token("<|startoftranscript|>")
        self._no_times = self.tokenizer.token("<|notimestamps|>")

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """See AcousticModel.encode."""
        return Encoding(self.weights.encode(padded(features, self.spectrogram.bands, frames)))

    def clip_encodings(self, encoding: Encoding, clips: int) -> list[Encoding]:
        """See AcousticModel.clip_encodings."""
        if clips == 1:
            return [encoding]
        encoded = cast(Encoded, encoding)
        return [Encoding(encoded.clip(number)) for number in range(clips)]

    def detect_language(self, encoding: Encoding) -> list[dict[str, float]]:
        """See AcousticModel.detect_language."""
        encoded = cast(Encoded, encoding)
        start = np.full((encoded.clips, 1), self._start)
        logits = self.weights.step(encoded, start).logits[:, 0, list(self._layout.languages)]
        codes = [self.tokenizer.name(token).strip("<|>") for token in self._layout.languages]
        shares = np.exp(log_softmax(logits))
        return [dict(zip(codes, map(float, row), strict=True)) for row in shares]

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
        return self._generation.generate(
            self.weights,
            cast(Encoded, encoding),
            prompts,
            beam,
            budgets,
            temperature=temperature,
            allowed=allowed,
        )

    def time_decoder(
        self, encoding: Encoding, prompts: Sequence[list[int]], beam: int, count: int
    ) -> None:
        """See WhisperModel.time_decoder."""
        self._generation.run(self.weights, cast(Encoded, encoding), prompts, beam, count)

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        """See AcousticModel.score.

        The prompt gets a second <|notimestamps|>, as CTranslate2 adds one: the constants of
        rescoring and biasing were fitted with it.
        """
        wanted = list(texts)
        words = [self.tokenizer.encode(text) for text in wanted]
        fits = [len(prompt) + len(some) + 3 <= POSITIONS for some in words]
        rows = [some for some, fit in zip(words, fits, strict=True) if fit]
        scores: dict[str, list[float]] = {text: [] for text in wanted}
        for encoding in encodings:
            found = iter(self._logprobs(encoding, [*prompt, self._no_times], rows))
            for text, fit in zip(wanted, fits, strict=True):
                scores[text].append(sum(next(found)) if fit else -math.inf)
        return scores

    def _logprobs(
        self, encoding: Encoding, prompt: list[int], rows: Sequence[list[int]]
    ) -> list[list[float]]:
        """Return the log-probability of each token of some texts over one clip."""
        found: list[list[float]] = []
        if not rows:
            return found
        together = max(1, _TOGETHER // max(map(len, rows)))
        for at in range(0, len(rows), together):
            logprobs, _ = self._read(encoding, prompt, rows[at : at + together])
            found += logprobs
        return found

    def _read(
        self, encoding: Encoding, prompt: list[int], rows: Sequence[list[int]]
    ) -> tuple[list[list[float]], Floats]:
        """Let the decoder read texts, in one step.

        Args:
            encoding: of one clip, or as many clips as divide the rows.
            prompt: with <|notimestamps|>.
            rows: tokens of the texts; shorter ones are padded, which no token before sees.

        Returns:
            The log-probability of each token of each text among the text tokens, as in
            CTranslate2; and the attention scores, of shape (rows, heads, tokens of prompt, text
            and end, positions).
        """
        encoded = cast(Encoded, encoding)
        longest = max(map(len, rows))
        tokens = np.full((len(rows), len(prompt) + longest + 1), self.tokenizer.end)
        tokens[:, : len(prompt)] = prompt
        for row, some in zip(tokens, rows, strict=True):
            row[len(prompt) : len(prompt) + len(some)] = some
        wanted = range(len(prompt) - 1, len(prompt) + longest - 1)
        step = self.weights.step(encoded, tokens, wanted=wanted)
        among = log_softmax(step.logits[:, :, : self.tokenizer.end])
        logprobs = [
            [max(float(one[token]), _LEAST) for one, token in zip(row, some, strict=False)]
            for row, some in zip(among, rows, strict=True)
        ]
        attention = step.attention.numpy()
        clips, heads, _, positions = attention.shape
        apart = attention.reshape(clips, heads, len(rows) // clips, -1, positions)
        return logprobs, apart.transpose(0, 2, 1, 3, 4).reshape(len(rows), heads, -1, positions)

    def align(
        self, encoding: Encoding, prompt: list[int], text: str, seconds: float
    ) -> Alignment | None:
        """See AcousticModel.align."""
        words = self.tokenizer.encode(text)
        if not words or len(prompt) + len(words) + 1 > POSITIONS:
            return None
        [logprobs], [attention] = self._read(encoding, prompt, [words])
        *starts, end = self._starts(attention, len(prompt), len(words), seconds)
        return Alignment(
            tuple(self.tokenizer.decode([word]) for word in words),
            tuple(starts),
            end,
            tuple(logprobs),
        )

    def _starts(self, attention: Floats, prompt: int, words: int, seconds: float) -> list[float]:
        """Return the second at which each token begins, and that of the end of the text."""
        audio = attention[:, : prompt + words + 1, : math.ceil(seconds / _STEP)]
        return [_STEP * at for at in first_positions(audio, prompt, words)]

    def score_end_of_text(
        self,
        encoding: Encoding,
        prompt: list[int],
        texts: Sequence[str],
        seconds: Sequence[float],
    ) -> list[EndOfTextScores | None]:
        """See AcousticModel.score_end_of_text.

        Each text is read three times in one step, with another mark at its end each time.
        """
        words = self.marks.words(prompt, texts)
        if all(some is None for some in words):
            return [None] * len(texts)
        rows = [
            [*(some or ()), mark]
            for text, some in zip(texts, words, strict=True)
            for mark in (self.marks.stop(text), self.marks.dash, self.marks.ellipsis)
        ]
        logprobs, attention = self._read(encoding, prompt, rows)
        found: list[EndOfTextScores | None] = []
        for at, (some, length) in enumerate(zip(words, seconds, strict=True)):
            if some is None:
                found.append(None)
                continue
            stop, dash, ellipsis = logprobs[3 * at : 3 * at + 3]
            # The mark is aligned as well, with the audio after the last word.
            starts = self._starts(attention[3 * at], len(prompt), len(some) + 1, length)
            found.append(
                EndOfTextScores(
                    full_stop=stop[-1],
                    dash=dash[-1],
                    ellipsis=ellipsis[-1],
                    last_word=stop[-2] if some else _LEAST,
                    text_end=starts[len(some)],
                )
            )
        return found
