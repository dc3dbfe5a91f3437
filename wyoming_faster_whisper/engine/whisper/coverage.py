"""Coverage: whether a text accounts for all the speech in the audio. Pure.

The decoder sometimes leaves out a whole sentence, or repeats a sentence that was said once, with
a good log-probability. The alignment of the text with the audio reveals both. The model aligns
tokens in order and skips no frame, so the token next to a missing sentence gets all of that
sentence's speech, while a repeated sentence gets none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from .hallucination import Decoded
from .repetition import Repeat, plain_words, repeated_tail, shortened

_EDGE = 0.05  # seconds of tolerance between the alignment and the VAD
_ROUND = 0.5  # share of the speech in a usual round; a round with less was not spoken
# Share of a gap's speech. Words of the text that have as much beside the gap were spoken there,
# so the same words in the gap are a repetition. Set by hand: people repeat a sentence at similar
# speed.
_REPEATED = 0.7

_MARKS = re.compile(r"(?:[^\w\s]+(?=\s|$))?")  # punctuation that closes a word

Span = tuple[float, float]
"""Start and end in seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Fitted limits of the coverage check; calibration/ has their data."""

    missing: float  # seconds of speech within one token that mean a missing sentence
    missing_after: float  # seconds of speech after the last token that mean one
    per_digit: float  # more seconds: "1969" is one token and takes 1.2 s to say
    # Tokens per second of speech below which a text may leave something out. Denser texts are
    # not aligned, because aligning takes a tenth of the time of a decode.
    sparse: float
    least_spoken: float  # seconds of speech; with less, no sentence is missing


@dataclass(frozen=True, slots=True)
class Alignment:
    """Tokens of a text, and the time at which each of them begins."""

    texts: tuple[str, ...]  # the text of each token
    starts: tuple[float, ...]  # seconds from the start of the audio, ascending
    end: float  # seconds; the start of the end-of-text token, which is aligned as well
    logprobs: tuple[float, ...]  # of each token, natural log

    def span(self, at: int) -> Span:
        """Return the start of a token and the start of the next token."""
        return self.starts[at], (*self.starts, self.end)[at + 1]

    def first(self, tokens: int) -> Alignment:
        """Return the alignment of the first tokens only."""
        end = (*self.starts, self.end)[tokens]
        return Alignment(self.texts[:tokens], self.starts[:tokens], end, self.logprobs[:tokens])


@dataclass(frozen=True, slots=True)
class Gap:
    """Speech that the text does not account for."""

    tokens: int  # number of tokens before the gap
    start: float  # seconds from the start of the audio
    end: float  # seconds


def sparse(decoded: Decoded, speech_seconds: float, limits: Limits) -> bool:
    """Return True if a text is so short for its speech that aligning it is worthwhile.

    Args:
        decoded: the text and its number of tokens.
        speech_seconds: seconds of speech in the audio, without pauses.
        limits: those of the model and the language.
    """
    return (
        speech_seconds >= limits.least_spoken and decoded.tokens < limits.sparse * speech_seconds
    )


def remove_loops(
    decoded: Decoded, aligned: Alignment, speech: Sequence[Span]
) -> tuple[Decoded, Alignment]:
    """Remove the rounds of a repeated tail that were not spoken.

    A speaker may really say a sentence twice, so only rounds without speech of their own are
    removed.

    Args:
        decoded: the text.
        aligned: the alignment of the text with the audio.
        speech: where the VAD heard speech.

    Returns:
        The shortened text and its alignment; both unchanged if no tail is repeated.
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


def said_beside(
    aligned: Alignment, gap: Gap, part: str, speech: Sequence[Span]
) -> tuple[bool, bool]:
    """Return whether the words before a gap, and those after it, have speech of their own.

    If a speaker says a sentence twice and the text has it once, these words have about as much
    speech as the gap. If the sentence is said once, all its speech may be in the gap.

    Args:
        part: the text of the gap; as many letters of the text are considered on each side.
        speech: where the VAD heard speech.
    """
    starts = (*aligned.starts, aligned.end)
    letters = _letters(part)
    first = last = gap.tokens
    while first > 0 and _letters(*aligned.texts[first : gap.tokens]) < letters:
        first -= 1
    while last < len(aligned.texts) and _letters(*aligned.texts[gap.tokens : last]) < letters:
        last += 1
    least = _REPEATED * speech_within((gap.start, gap.end), speech)
    before = speech_within((starts[first], gap.start), speech)
    after = speech_within((gap.end, starts[last]), speech)
    return before >= least, after >= least


def _letters(*texts: str) -> int:
    return sum(map(str.isalnum, "".join(texts)))


def adds(text: str, at: int, part: str, beside: tuple[bool, bool]) -> bool:
    """Return whether a part has words that the text does not have already.

    Args:
        text: the text before anything is inserted.
        at: character position of the gap in the text.
        part: the text of the gap.
        beside: whether the words before the gap, and those after it, have speech of their own
            (said_beside()). If they have, the part repeats them; otherwise it is the same speech.
    """
    new, left, right = map(plain_words, (part, text[:at], text[at:]))
    same = left[-len(new) :] == new, right[: len(new)] == new
    return bool(new) and all(
        spoken or not twin for twin, spoken in zip(same, beside, strict=True)
    )


def insert(text: str, at: int, part: str) -> str:
    """Insert a missing part into a text.

    Args:
        at: character position in the text.
    """
    mark = _MARKS.match(text, at)
    assert mark is not None  # the pattern matches the empty string
    before, after = text[: mark.end()].rstrip(), text[mark.end() :].strip()
    if part[:1].islower():  # the part continues the sentence
        before = before.rstrip(".。")
    return " ".join(piece for piece in (before, part, after) if piece)


def speech_within(span: Span, speech: Sequence[Span]) -> float:
    """Return the seconds of speech within a span."""
    start, end = span
    return sum(max(0.0, min(end, b) - max(start, a)) for a, b in speech)


def gaps(aligned: Alignment, speech: Sequence[Span], limits: Limits) -> list[Gap]:
    """Find speech that the text does not account for, in order of time.

    Args:
        aligned: the alignment of the text with the audio.
        speech: where the VAD heard speech, in order of time.
        limits: those of the model and the language.
    """
    found: list[Gap] = []
    for at, text in enumerate(aligned.texts):
        start, end = aligned.span(at)
        digits = sum(map(str.isdigit, text))
        longest = limits.missing + limits.per_digit * max(0, digits - 1)
        if speech_within((start, end), speech) < longest:
            continue
        inside = [(max(a, start), min(b, end)) for a, b in speech if a < end and b > start]
        begins_sentence = at == 0 or _ends_sentence(aligned.texts[at - 1])
        if _begins_word(aligned.texts, at) or (begins_sentence and not _ends_sentence(text)):
            # The token's own word is at the end of the span, after the last pause.
            before = [b for _, b in inside if b < end - _EDGE]
            found.append(Gap(at, inside[0][0], before[-1] if before else inside[-1][1]))
        else:
            # The token's own word is at the start of the span, before the first pause.
            after = [a for a, _ in inside if a > start + _EDGE]
            found.append(Gap(at + 1, after[0] if after else inside[0][0], inside[-1][1]))
    rest = [(max(a, aligned.end), b) for a, b in speech if b > aligned.end]
    if speech_within((aligned.end, float("inf")), rest) >= limits.missing_after:
        found.append(Gap(len(aligned.texts), rest[0][0], rest[-1][1]))
    return found


def rounds_spoken(
    aligned: Alignment, words: Sequence[int], repeat: Repeat, speech: Sequence[Span]
) -> int:
    """Count the rounds of a repeated tail that were spoken.

    Args:
        words: for each word, the index of its first token.
        repeat: the repeated tail of the text.
        speech: where the VAD heard speech.

    Returns:
        1 to repeat.rounds.
    """
    starts = [*(aligned.starts[token] for token in words), aligned.end]
    edges = [starts[repeat.start + number * repeat.size] for number in range(repeat.rounds + 1)]
    said = [speech_within(span, speech) for span in pairwise(edges)]
    usual = median([seconds for seconds in said if seconds > _EDGE] or [0.0])
    least = max(_EDGE, _ROUND * max(usual, said[0]))
    return max(1, sum(seconds >= least for seconds in said))


def _begins_word(texts: Sequence[str], at: int) -> bool:
    """Return True if a token is the beginning of a word, which the next token continues."""
    return texts[at].startswith(" ") and "".join(texts[at + 1 : at + 2])[:1].isalnum()


def _ends_sentence(text: str) -> bool:
    return text.strip()[-1:] in tuple(".?!。？！।")
