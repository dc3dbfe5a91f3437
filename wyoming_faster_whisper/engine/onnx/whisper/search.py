"""Beam search and sampling over the logits of a decoder. Pure.

The rules are those of CTranslate2 (src/decoding.cc), so that both libraries generate the same
texts: there are twice as many candidates as the beam is wide, a clip is finished once it has as
many hypotheses as the beam is wide, and hypotheses are ranked by their log-probability divided by
their length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A hypothesis of the decoder."""

    tokens: tuple[int, ...]  # without the end of the text
    # Log-probability (natural), with that of the end-of-text token if it was generated.
    score: float

    @property
    def rank(self) -> float:
        return self.score / max(1, len(self.tokens))


@dataclass(slots=True)
class Beam:
    """Beam search over one clip.

    The rows of a clip are its unfinished hypotheses. After advance(), `parents` and `last` say
    what to feed to the decoder next: the row that each row continues, and its new token.

    Args:
        width: beam width; 1 = greedy.
        end: token at the end of a text.
    """

    width: int
    end: int
    parents: list[int] = field(default_factory=list)
    texts: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    finished: list[Hypothesis] = field(default_factory=list)
    done: bool = False
    _scores: Floats = field(default_factory=lambda: np.zeros(1, np.float32))

    @property
    def last(self) -> list[int]:
        """Newest token of each row."""
        return [text[-1] for text in self.texts]

    def advance(self, logprobs: Floats, *, final: bool) -> None:
        """Continue each hypothesis by one token.

        Args:
            logprobs: log-probability of each token after each row, shape (rows, vocabulary); the
                vocabulary is at least twice as large as the beam is wide.
            final: no more tokens fit; all hypotheses end here.
        """
        total = (logprobs + self._scores[:, None]).reshape(-1)
        best = np.argpartition(total, -2 * self.width)[-2 * self.width :]
        best = best[np.argsort(-total[best], kind="stable")]
        rows, tokens = np.divmod(best, logprobs.shape[1])
        candidates = [
            (int(row), int(token), float(total[at]))
            for at, row, token in zip(best, rows, tokens, strict=True)
        ]
        spare = (each for each in candidates[self.width :] if each[1] != self.end)
        kept: list[tuple[int, int, float]] = []
        for row, token, score in candidates[: self.width]:
            if token == self.end or final:
                text = self.texts[row] if token == self.end else (*self.texts[row], token)
                self.finished.append(Hypothesis(text, score))
                if not final and (other := next(spare, None)) is not None:
                    kept.append(other)
            else:
                kept.append((row, token, score))
        self.done = final or len(self.finished) >= self.width
        while len(kept) < self.width:  # rows must keep their number
            kept.append(candidates[-1])
        self.texts = [(*self.texts[row], token) for row, token, _ in kept]
        self.parents = [row for row, _, _ in kept]
        self._scores = np.array([score for *_, score in kept], np.float32)

    def ranked(self) -> list[Hypothesis]:
        """Return the best hypotheses, as many as the beam is wide."""
        return sorted(self.finished, key=lambda one: -one.rank)[: self.width]


@dataclass(slots=True)
class Samples:
    """Texts that are sampled from one clip, each independent of the others.

    It is used like a Beam.

    Args:
        width: number of texts.
        end: token at the end of a text.
        temperature: above 0.
        random: source of the samples.
    """

    width: int
    end: int
    temperature: float
    random: np.random.Generator
    parents: list[int] = field(default_factory=list)
    texts: list[tuple[int, ...]] = field(default_factory=list)
    finished: list[Hypothesis] = field(default_factory=list)
    done: bool = False
    _scores: list[float] = field(default_factory=list)

    @property
    def last(self) -> list[int]:
        """Newest token of each row."""
        return [text[-1] for text in self.texts]

    def advance(self, logprobs: Floats, *, final: bool) -> None:
        """See Beam.advance."""
        first = not self.texts
        if first:
            logprobs = np.repeat(logprobs, self.width, axis=0)
            self.texts, self._scores = [()] * self.width, [0.0] * self.width
        noise = self.random.gumbel(size=logprobs.shape).astype(np.float32)
        tokens = np.argmax(logprobs / self.temperature + noise, axis=1)
        for row, token in enumerate(map(int, tokens)):
            text = self.texts[row]
            ended = bool(text) and text[-1] == self.end
            if not ended:
                self._scores[row] += float(logprobs[row, token])
            self.texts[row] = (*text, self.end if ended else token)
            if not ended and (token == self.end or final):
                whole = text if token == self.end else (*text, token)
                self.finished.append(Hypothesis(whole, self._scores[row]))
        self.parents = [0] * self.width if first else list(range(self.width))
        self.done = len(self.finished) == self.width

    def ranked(self) -> list[Hypothesis]:
        """Return all texts, best first."""
        return sorted(self.finished, key=lambda one: -one.rank)
