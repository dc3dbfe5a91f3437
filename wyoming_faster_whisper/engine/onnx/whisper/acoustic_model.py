"""Whisper over ONNX Runtime as an acoustic model (engine/whisper/acoustic_model.py)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from ....audio.pcm import Samples as Sound
from ....hardware import release_memory
from ....speech.turn_classifier import EndOfTextScores
from ...whisper.acoustic_model import Encoding
from ...whisper.coverage import Alignment
from ...whisper.end_marks import EndMarks
from ...whisper.hallucination import Decoded
from ...whisper.spectrogram import Features, Spectrogram, padded, to_features
from ...whisper.tokens import POSITIONS, WhisperTokenizer
from .alignment import first_positions
from .generation import Generation
from .graphs import Encoded, Floats, Graphs
from .search import log_softmax

_STEP = 0.02  # seconds of audio per position of the encoding
_LEAST = math.log(1e-30)  # floor of a token's log-probability, as with CTranslate2
_TOGETHER = 256  # tokens whose logits are computed at once; each takes 200 KB


class OnnxWhisper:
    """Loaded Whisper model and its tokenizer. See AcousticModel.

    Args:
        graphs: from load_graphs().
        tokenizer: path of the model's tokenizer.json.
        takes_prompt: False for distilled models, which are less accurate with a prompt.
        reload: loads the graphs again after unload(); None = never unload them.

    Raises:
        ModelError: the tokenizer is missing or damaged.
    """

    def __init__(
        self,
        graphs: Graphs,
        tokenizer: Path,
        *,
        takes_prompt: bool = True,
        reload: Callable[[], Graphs] | None = None,
    ) -> None:
        self.graphs = graphs  # missing while unloaded
        self.parallel = graphs.num_workers
        self.tokenizer = WhisperTokenizer(
            tokenizer, multilingual=graphs.is_multilingual, takes_prompt=takes_prompt
        )
        self._layout = graphs.layout
        self._reload = reload
        self._generation = Generation(self.tokenizer, self._layout)
        self._spectrogram = Spectrogram(self._layout.bands)
        self._start = self.tokenizer.token("<|startoftranscript|>")
        self._no_times = self.tokenizer.token("<|notimestamps|>")
        self._marks = EndMarks(self.tokenizer)

    def unload(self) -> None:
        """See WhisperModel.unload."""
        if self._reload is not None:
            del self.graphs
            release_memory()

    def load(self) -> None:
        """See WhisperModel.load."""
        if self._reload is not None:
            self.graphs = self._reload()

    def features(self, samples: Sound) -> Features:
        """See AcousticModel.features."""
        return to_features(self._spectrogram.power(samples))

    def encode(self, features: Sequence[Features], frames: int) -> Encoding:
        """See AcousticModel.encode."""
        return Encoding(self.graphs.encode(padded(features, self._spectrogram.bands, frames)))

    def detect_language(
        self, encoding: Encoding, among: tuple[str, ...]
    ) -> list[tuple[str, float]]:
        """See AcousticModel.detect_language."""
        encoded = cast(Encoded, encoding)
        start = np.full((encoded.clips, 1), self._start)
        logits = self.graphs.step(encoded, start).logits[:, 0, list(self._layout.languages)]
        codes = [self.tokenizer.name(token).strip("<|>") for token in self._layout.languages]
        shares = np.exp(log_softmax(logits))
        known = [at for at, code in enumerate(codes) if code in among] or range(len(codes))
        best = [max(known, key=lambda at: row[at]) for row in shares]
        return [(codes[at], float(row[at])) for at, row in zip(best, shares, strict=True)]

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
            self.graphs,
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
        self._generation.run(self.graphs, cast(Encoded, encoding), prompts, beam, count)

    def score(
        self, encodings: Sequence[Encoding], prompt: list[int], texts: Iterable[str]
    ) -> dict[str, list[float]]:
        """See AcousticModel.score.

        The prompt gets a second <|notimestamps|>, as CTranslate2 adds one: the constants of
        rescoring and biasing were fitted with it.
        """
        wanted = list(texts)
        words = [[*self.tokenizer.encode(text), self.tokenizer.end] for text in wanted]
        fits = [len(prompt) + len(some) + 2 <= POSITIONS for some in words]
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
            CTranslate2, where the end of a text has the least possible one; and the attention
            scores, of shape (rows, heads, tokens of prompt, text and end, positions).
        """
        encoded = cast(Encoded, encoding)
        longest = max(map(len, rows))
        tokens = np.full((len(rows), len(prompt) + longest + 1), self.tokenizer.end)
        tokens[:, : len(prompt)] = prompt
        for row, some in zip(tokens, rows, strict=True):
            row[len(prompt) : len(prompt) + len(some)] = some
        wanted = range(len(prompt) - 1, len(prompt) + longest - 1)
        step = self.graphs.step(encoded, tokens, wanted=wanted)
        among = log_softmax(step.logits[:, :, : self.tokenizer.end])
        logprobs = [
            [
                max(float(one[token]), _LEAST) if token < self.tokenizer.end else _LEAST
                for one, token in zip(row, some, strict=False)
            ]
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
        words = self._marks.words(prompt, texts)
        if all(some is None for some in words):
            return [None] * len(texts)
        rows = [
            [*(some or ()), mark]
            for text, some in zip(texts, words, strict=True)
            for mark in (self._marks.stop(text), self._marks.dash, self._marks.ellipsis)
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
