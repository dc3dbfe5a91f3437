"""Generation: texts of clips, by beam search or sampling over the decoder's graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...whisper.hallucination import Decoded
from ...whisper.tokens import POSITIONS, WhisperTokenizer
from ..runtime import log_softmax
from .graphs import Encoded, Floats, Graphs
from .layout import Layout
from .search import Beam, Hypothesis, Samples


class Generation:
    """Generates texts with a decoder, by the rules of one model. Blocking."""

    def __init__(self, tokenizer: WhisperTokenizer, layout: Layout) -> None:
        self._tokenizer = tokenizer
        self._layout = layout
        self._start = tokenizer.token("<|startoftranscript|>")
        self._no_times = tokenizer.token("<|notimestamps|>")
        self._no_speech = self._no_times - 1  # models differ in the name of this token

    def generate(
        self,
        graphs: Graphs,
        encoded: Encoded,
        prompts: Sequence[list[int]],
        beam: int,
        budgets: Sequence[int],
        *,
        temperature: float,
        allowed: frozenset[int],
    ) -> list[Decoded]:
        """See AcousticModel.generate."""
        if len(set(map(len, prompts))) > 1:  # rows of a step have equal lengths
            return [
                self.generate(
                    graphs,
                    encoded.clip(at),
                    [prompts[at]],
                    beam,
                    [budgets[at]],
                    temperature=temperature,
                    allowed=allowed,
                )[0]
                for at in range(len(prompts))
            ]
        budgets = [min(budget, POSITIONS - len(prompts[0])) for budget in budgets]
        end, random = self._tokenizer.end, np.random.default_rng()
        searches: list[Beam | Samples] = [
            Samples(beam, end, temperature, random) if temperature else Beam(beam, end)
            for _ in prompts
        ]
        longest = max(1, *budgets)
        no_speech = self._search(
            graphs, encoded, prompts, searches, longest, self._penalties(allowed)
        )
        return [
            self._decoded(search.ranked(), prompt, share, budget)
            for search, prompt, share, budget in zip(
                searches, prompts, no_speech, budgets, strict=True
            )
        ]

    def run(
        self,
        graphs: Graphs,
        encoded: Encoded,
        prompts: Sequence[list[int]],
        beam: int,
        count: int,
    ) -> None:
        """Generate a fixed number of tokens per clip: the end-of-text token is suppressed."""
        penalties = self._penalties(frozenset())
        penalties[self._tokenizer.end] = -np.inf
        searches = [Beam(beam, self._tokenizer.end) for _ in prompts]
        self._search(graphs, encoded, prompts, searches, count, penalties)

    def _search(
        self,
        graphs: Graphs,
        encoded: Encoded,
        prompts: Sequence[list[int]],
        searches: Sequence[Beam | Samples],
        budget: int,
        penalties: Floats,
    ) -> list[float]:
        """Run the decoder until all searches are done; return each no-speech probability."""
        last = len(prompts[0]) - 1
        wanted = [prompts[0].index(self._start), last]
        step = graphs.step(encoded, np.array(prompts), wanted=wanted)
        no_speech = np.exp(log_softmax(step.logits[:, 0]))[:, self._no_speech]
        logits = step.logits[:, -1:] + penalties
        if prompts[0][last] == self._no_times:  # there is no prefix
            logits[:, :, list(self._layout.suppressed_first)] = -np.inf
        for count in range(1, budget + 1):
            logprobs = log_softmax(logits)
            for search, some in zip(searches, logprobs, strict=True):
                # Rows of a finished clip are computed on, since the rows of a clip must keep
                # their number; they cost little, as the weights are read once for all rows.
                if not search.done:
                    search.advance(some, final=count == budget)
            if all(search.done for search in searches):
                break
            before = logits.shape[1]  # rows of a clip in the step before
            step = graphs.step(
                encoded,
                np.array([[token] for search in searches for token in search.last]),
                past=step.past,
                parents=np.array(
                    [
                        at * before + row
                        for at, search in enumerate(searches)
                        for row in search.parents
                    ]
                ),
            )
            logits = step.logits.reshape(len(searches), -1, step.logits.shape[-1]) + penalties
        return [float(share) for share in no_speech]

    def _penalties(self, allowed: frozenset[int]) -> Floats:
        """Return what is added to the logits: -inf for suppressed tokens."""
        penalties = np.zeros(self._layout.vocabulary, np.float32)
        penalties[list(self._layout.suppressed)] = -np.inf
        if allowed:
            forbidden = np.ones(self._tokenizer.end, bool)
            forbidden[[token for token in allowed if token < self._tokenizer.end]] = False
            penalties[: self._tokenizer.end][forbidden] = -np.inf
        return penalties

    def _decoded(
        self, found: Sequence[Hypothesis], prompt: list[int], no_speech: float, budget: int
    ) -> Decoded:
        # The text begins with the prefix, which the scores leave out, as with CTranslate2.
        prefix = prompt[prompt.index(self._no_times) + 1 :]
        texts = [self._tokenizer.decode((*prefix, *one.tokens)).strip() for one in found]
        scores = tuple(one.score for one in found)
        tokens = len(prefix) + len(found[0].tokens)
        return Decoded(
            text=texts[0],
            alternatives=tuple(texts[1:]),
            scores=scores,
            tokens=tokens,
            avg_logprob=scores[0] / (tokens + 1),
            no_speech_prob=no_speech,
            budget=budget,
        )
