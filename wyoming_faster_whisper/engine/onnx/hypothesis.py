"""A text with the times and log-probabilities of its tokens, as onnx-asr returns it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from ..protocol import TokenLogprob, Word

_LONGEST_TOKEN = 0.5  # seconds; a token that nothing follows for longer ends here
_SHORTEST_TOKEN = 0.08  # seconds; the step of most encoders


class Result(Protocol):
    """onnx-asr's TimestampedResult."""

    @property
    def text(self) -> str: ...
    @property
    def timestamps(self) -> Sequence[float] | None: ...
    @property
    def tokens(self) -> Sequence[str] | None: ...
    @property
    def logprobs(self) -> Sequence[float] | None: ...


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text and its tokens."""

    text: str  # stripped
    tokens: tuple[str, ...] = ()  # a token that begins a word has a space before it
    starts: tuple[float, ...] = ()  # seconds; () = the model has no times
    logprobs: tuple[float, ...] = ()  # natural log; () = the model has none

    @property
    def avg_logprob(self) -> float:
        return fmean(self.logprobs) if self.logprobs else 0.0

    @property
    def finite(self) -> bool:
        return all(map(math.isfinite, (*self.logprobs, *self.starts)))

    @property
    def token_logprobs(self) -> tuple[TokenLogprob, ...]:
        """The tokens with their log-probabilities; () if the model has none."""
        return tuple(
            TokenLogprob(token, token.encode(), logprob)
            for token, logprob in zip(self.tokens, self.logprobs, strict=False)
        )


def to_tokens(result: Result) -> Tokens:
    """Convert a result of onnx-asr. What does not belong to every token is left out."""
    tokens = tuple(result.tokens or ())
    starts, logprobs = tuple(result.timestamps or ()), tuple(result.logprobs or ())
    return Tokens(
        result.text.strip(),
        tokens,
        starts if len(starts) == len(tokens) else (),
        # A graph without softmax returns logits, not log-probabilities.
        logprobs if len(logprobs) == len(tokens) and not any(p > 0 for p in logprobs) else (),
    )


def words_of_tokens(
    result: Tokens, text: str, silence: float, seconds: float
) -> tuple[Word, ...]:
    """Return when the words of a text were spoken; () if the model has no times.

    Args:
        result: output of the model.
        text: the text of the answer, in which names may have been corrected. Its words get the
            times of the words in the result; if their number differs, the words that
            differ share the time of those that they replace.
        silence: seconds of silence before the first sample of the job.
        seconds: length of the job.
    """
    if not result.starts:
        return ()
    found: list[tuple[str, float, float, list[float]]] = []
    ends = [*result.starts[1:], math.inf]
    logprobs = result.logprobs or (0.0,) * len(result.tokens)
    for token, start, following, logprob in zip(
        result.tokens, result.starts, ends, logprobs, strict=True
    ):
        end = min(max(following, start + _SHORTEST_TOKEN), start + _LONGEST_TOKEN)
        if found and not token.startswith(" "):
            word, first, _, scores = found[-1]
            found[-1] = word + token, first, end, [*scores, logprob]
        else:
            found.append((token, start, end, [logprob]))

    def within(moment: float) -> float:
        return min(max(moment - silence, 0.0), seconds)

    words = [
        Word(word.strip(), within(start), within(end), math.exp(min(0.0, fmean(scores))))
        for word, start, end, scores in found
        if word.strip()
    ]
    return tuple(_with_text(words, text.split()))


def _with_text(words: Sequence[Word], texts: Sequence[str]) -> list[Word]:
    """Give words the spelling of a text, which differs from theirs in names."""
    same = 0
    while same < min(len(words), len(texts)) and words[same].text == texts[same]:
        same += 1
    tail = 0
    while tail < min(len(words), len(texts)) - same and words[-1 - tail].text == texts[-1 - tail]:
        tail += 1
    replaced = words[same : len(words) - tail]
    spelled = texts[same : len(texts) - tail]
    if not replaced or not spelled:
        return [*words[:same], *words[len(words) - tail :]]
    start, end = replaced[0].start, replaced[-1].end
    probability = fmean(word.probability for word in replaced)
    step = (end - start) / len(spelled)
    return [
        *words[:same],
        *(
            Word(text, start + at * step, start + (at + 1) * step, probability)
            for at, text in enumerate(spelled)
        ),
        *words[len(words) - tail :],
    ]
