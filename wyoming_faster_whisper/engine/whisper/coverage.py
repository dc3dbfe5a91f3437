"""Does a text account for the sound? Pure.

The decoder sometimes leaves out a whole sentence, or repeats one that was said once, with a good
log-probability. The alignment of the text with the sound gives both away. The model aligns tokens
in order and leaves no frame out, so the token beside a missing sentence gets all of its voice,
while a repeated sentence gets none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from .hallucination import Decoded
from .repetition import Repeat, plain_words, repeated_tail, shortened

# Seconds of voice within one token, and after the last one. Of 210 texts of clean and degraded
# sentences, the complete ones have at most 0.80 s in any token and none after the last; those
# that lack a sentence, be it two words long, have at least 0.86 s there (base, English, beam 5).
MISSING = 0.85
MISSING_AFTER = 0.4
_PER_DIGIT = 0.4  # seconds more: "1969" is one token and takes 1.2 s to say

# Texts with fewer tokens a second of voice may leave something out: of the texts above, those
# that do have at most 3.6. Others are not aligned, which takes a tenth of the time of a decode.
_SPARSE = 4.0
_LEAST_SPOKEN = 1.0  # seconds of voice; in less of it no word is missing

_EDGE = 0.05  # seconds by which an alignment may differ from the voice
_ROUND = 0.5  # of a usual round's voice; a round with less of it was not said

_MARKS = re.compile(r"(?:[^\w\s]+(?=\s|$))?")  # that close a word

Span = tuple[float, float]
"""Start and end in seconds."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """A text's tokens and when each of them begins."""

    texts: tuple[str, ...]  # of each token, as written
    starts: tuple[float, ...]  # seconds of the sound, ascending
    end: float  # when the text ends: the end-of-text token is aligned as well

    def span(self, at: int) -> Span:
        """Return when a token begins and the next one does."""
        return self.starts[at], (*self.starts, self.end)[at + 1]

    def first(self, tokens: int) -> Alignment:
        """Return only so many tokens."""
        end = (*self.starts, self.end)[tokens]
        return Alignment(self.texts[:tokens], self.starts[:tokens], end)


@dataclass(frozen=True, slots=True)
class Gap:
    """Voice that no text accounts for."""

    tokens: int  # of the text, that come before it
    start: float  # seconds of the sound
    end: float


def sparse(decoded: Decoded, speech_seconds: float) -> bool:
    """True where a text is short for its sound: worth aligning.

    Args:
        speech_seconds: seconds of speech.
    """
    return speech_seconds >= _LEAST_SPOKEN and decoded.tokens < _SPARSE * speech_seconds


def remove_loops(
    decoded: Decoded, aligned: Alignment, speech: Sequence[Span]
) -> tuple[Decoded, Alignment]:
    """Take back the rounds of a repeated tail that the sound does not hold.

    Who says a sentence twice is heard twice: only rounds without voice of their own go.
    """
    repeat = repeated_tail(decoded.text)
    words = [at for at, text in enumerate(aligned.texts) if at == 0 or text.startswith(" ")]
    if repeat is None or len(words) != len(decoded.text.split()):
        return decoded, aligned
    rounds = rounds_spoken(aligned, words, repeat, speech)
    last = repeat.start + repeat.size * rounds
    tokens = words[last] if last < len(words) else len(aligned.texts)
    return (
        replace(decoded, text=shortened(decoded.text, repeat, rounds), tokens=tokens, scores=()),
        aligned.first(tokens),
    )


def insert(text: str, at: int, part: str) -> str:
    """Put a part that was missing into a text; what stands there already is not repeated."""
    mark = _MARKS.match(text, at)
    assert mark is not None  # it matches the empty string
    before, after = text[: mark.end()].rstrip(), text[mark.end() :].strip()
    new, left, right = map(plain_words, (part, before, after))
    if not new or left[-len(new) :] == new or right[: len(new)] == new:
        return text
    return " ".join(piece for piece in (before, part, after) if piece)


def speech_within(span: Span, speech: Sequence[Span]) -> float:
    """Return the seconds of voice within a span."""
    start, end = span
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in speech)


def gaps(aligned: Alignment, speech: Sequence[Span]) -> list[Gap]:
    """Find voice that no text accounts for, in order.

    Args:
        speech: stretches in which the VAD hears speech.
    """
    found: list[Gap] = []
    for at, text in enumerate(aligned.texts):
        start, end = aligned.span(at)
        digits = sum(map(str.isdigit, text))
        if speech_within((start, end), speech) < MISSING + _PER_DIGIT * max(0, digits - 1):
            continue
        inside = [(max(a, start), min(b, end)) for a, b in speech if a < end and b > start]
        begins_sentence = at == 0 or _ends_sentence(aligned.texts[at - 1])
        if begins_sentence and not _ends_sentence(text):
            # The word itself is at the end, after the last pause.
            before = [b for _, b in inside if b < end - _EDGE]
            found.append(Gap(at, inside[0][0], before[-1] if before else inside[-1][1]))
        else:
            # The word itself is at the beginning, before the first pause.
            after = [a for a, _ in inside if a > start + _EDGE]
            found.append(Gap(at + 1, after[0] if after else inside[0][0], inside[-1][1]))
    rest = [(max(a, aligned.end), b) for a, b in speech if b > aligned.end]
    if speech_within((aligned.end, float("inf")), rest) >= MISSING_AFTER:
        found.append(Gap(len(aligned.texts), rest[0][0], rest[-1][1]))
    return found


def rounds_spoken(
    aligned: Alignment, words: Sequence[int], repeat: Repeat, speech: Sequence[Span]
) -> int:
    """Count the rounds of a repeated tail that the sound holds.

    Args:
        words: for each word, the number of its first token.

    Returns:
        1 to repeat.rounds.
    """
    starts = [*(aligned.starts[token] for token in words), aligned.end]
    edges = [starts[repeat.start + number * repeat.size] for number in range(repeat.rounds + 1)]
    said = [speech_within(span, speech) for span in pairwise(edges)]
    usual = median([seconds for seconds in said if seconds > _EDGE] or [0.0])
    least = max(_EDGE, _ROUND * max(usual, said[0]))
    return max(1, sum(seconds >= least for seconds in said))


def _ends_sentence(text: str) -> bool:
    return text.strip()[-1:] in tuple(".?!。？！।")
