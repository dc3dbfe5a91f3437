"""Moonshine's decoder: n-best lists, and the log-probability of given texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ....audio.pcm import Samples
from ...whisper.hallucination import Decoded
from ..runtime import Array
from .graphs import Logprobs, MoonshineGraphs
from .search import Hypothesis, beam_search
from .vocabulary import BEGIN, END, Vocabulary

# Tokens that English can need per second of audio; the model's authors cap a text there, because
# beyond it the decoder loops.
_TOKENS_PER_SECOND = 6.5
# Besides, for clips of a single word: the longest in bench/speech/texts.py ("Krzysztof.") has 7
# with the end of the text.
_LEAST_TOKENS = 8


class MoonshineDecoder:
    """Graphs and vocabulary of one model. Blocking; safe to call from several threads."""

    def __init__(self, graphs: MoonshineGraphs, vocabulary: Vocabulary) -> None:
        self._graphs = graphs
        self.vocabulary = vocabulary

    def encode(self, samples: Samples) -> Array:
        """See MoonshineGraphs.encode."""
        return self._graphs.encode(samples)

    def generate(
        self,
        encoding: Array,
        prefix: str,
        beam: int,
        seconds: float,
        *,
        allowed: frozenset[int] = frozenset(),
    ) -> Decoded:
        """Find the most probable texts by beam search.

        Args:
            encoding: of one clip.
            prefix: beginning of each text.
            beam: beam width; 1 = greedy.
            seconds: length of the audio; a text has at most 6.5 tokens per second.
            allowed: tokens that the decoder may generate; empty = any.

        Returns:
            The n-best list; each text begins with the prefix, unless the tokens of the prefix
            have another spelling.

        Raises:
            RuntimeError: the model failed.
        """
        given = self.vocabulary.encode(prefix)
        logprobs, cache = self._graphs.begin(encoding, [[BEGIN, *given]])
        budget = _LEAST_TOKENS + int(_TOKENS_PER_SECOND * seconds)

        def step(parents: Sequence[int], tokens: Sequence[int]) -> Logprobs:
            nonlocal cache
            following, cache = self._graphs.step(encoding, tokens, cache.select(parents))
            return following

        suppressed = None
        if allowed:
            suppressed = np.ones(logprobs.shape[-1], np.bool_)
            suppressed[[*allowed, END]] = False
        found = beam_search(
            logprobs[0, -1],
            step,
            beam=beam,
            budget=max(1, budget - len(given)),
            end=END,
            suppressed=suppressed,
            may_be_empty=bool(given),
        )
        # How probable it is that the text is empty, at the beginning of one.
        no_speech_prob = 0.0 if given else float(np.exp(logprobs[0, -1, END]))
        return self._decoded(given, found, budget, no_speech_prob)

    def score(self, encoding: Array, texts: Sequence[str]) -> list[list[float]]:
        """Return the log-probabilities of the tokens of each text, with the end-of-text token.

        Raises:
            RuntimeError: the model failed.
        """
        rows = [[BEGIN, *self.vocabulary.encode(text), END] for text in texts]
        longest = max(map(len, rows))
        # Tokens after the end of a text have no influence on those before.
        padded = [[*row, *[END] * (longest - len(row))] for row in rows]
        logprobs, _ = self._graphs.begin(encoding, padded)
        return [
            logprobs[at, np.arange(len(row) - 1), row[1:]].astype(float).tolist()
            for at, row in enumerate(rows)
        ]

    def time(self, samples: Samples, beam: int, tokens: int) -> None:
        """Encode a clip and decode a fixed number of tokens, to measure the time."""
        encoding = self.encode(samples)
        _, cache = self._graphs.begin(encoding, [[BEGIN]])
        cache = cache.select([0] * beam)
        for _ in range(tokens - 1):
            _, cache = self._graphs.step(encoding, [BEGIN] * beam, cache)

    def _decoded(
        self,
        given: Sequence[int],
        found: Sequence[Hypothesis],
        budget: int,
        no_speech_prob: float,
    ) -> Decoded:
        texts = list(self._texts(given, found))
        best, *others = texts
        return Decoded(
            text=best[0],
            alternatives=tuple(text for text, _ in others),
            scores=tuple(one.score for _, one in texts),
            tokens=len(given) + len(best[1].tokens),
            avg_logprob=best[1].mean,
            no_speech_prob=no_speech_prob,
            budget=budget,
        )

    def _texts(
        self, given: Sequence[int], found: Sequence[Hypothesis]
    ) -> Iterator[tuple[str, Hypothesis]]:
        """Yield each text once, the most probable first."""
        seen: set[str] = set()
        for one in found:
            text = self.vocabulary.decode([*given, *one.tokens])
            if text not in seen:
                seen.add(text)
                yield text, one
