"""Captions: a segment of up to 28 s, cut at words into pieces that can be read. Pure.

A piece lasts at most 7 s and fits into two lines of 42 columns, as Netflix's style guide asks.
Segments are cut where a sentence ends or the speaker pauses; a sentence that is still too long is
cut in halves, at a comma if there is one. Very short sentences stay with their neighbour.

A segment without word times, or whose words are not those of its text, is not cut.
"""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..engine.protocol import Word
from ..subtitles import Cue
from .events import TimedSegment

LONGEST = 7.0
"""Maximum seconds of a piece."""

COLUMNS = 42
"""Maximum columns of a line. A Chinese, Japanese or Korean character takes two."""

PAUSE = 0.6
"""Seconds between two words that end a piece: a pause between clauses."""

_SHORTEST = 1.0  # seconds; a shorter piece is joined with its neighbour, or shown longer
_ENDS = ".?!…。？！।؟"
_CLAUSE_ENDS = ",;:、，；：،—"
_CLOSING = "\"'”’»)]」』"
_AT_CLAUSE = 0.5  # bonus for a cut at a comma; the cost of unequal halves is 0 to 1


def pieces(segment: TimedSegment) -> list[TimedSegment]:
    """Cut a segment into pieces that fit into a caption.

    A piece has its own text, times, words and tokens. The probabilities are those of the segment,
    as openai/whisper copies those of a window into each of its segments.
    """
    script = _Script.of(segment)
    if script is None:
        return [segment]
    cut = [part for sentence in script.sentences() for part in script.halves(*sentence)]
    return [script.piece(*part) for part in script.joined(cut)]


def cues(segments: Sequence[TimedSegment]) -> list[Cue]:
    """Return the captions of an answer, in lines of at most 42 columns where words allow it."""
    parts = [part for segment in segments for part in pieces(segment)]
    following = [*(part.start for part in parts[1:]), math.inf]
    return [
        Cue(
            part.start,
            max(part.end, min(part.start + _SHORTEST, next_start)),
            "\n".join(_lines(part.text)),
        )
        for part, next_start in zip(parts, following, strict=False)
    ]


@dataclass(frozen=True, slots=True)
class _Script:
    """The words of a segment, and their positions in its text.

    A span of words is the index of its first word, and the index after its last.
    """

    segment: TimedSegment
    places: tuple[int, ...]  # where each word begins, then the end of the text

    @classmethod
    def of(cls, segment: TimedSegment) -> _Script | None:
        """Find the words in the text; return None if they are not there."""
        places: list[int] = []
        at = 0
        for word in segment.words:
            found = segment.text.find(word.text, at)
            if found < 0:
                return None
            places.append(found)
            at = found + len(word.text)
        return cls(segment, (*places, len(segment.text))) if places else None

    @property
    def words(self) -> tuple[Word, ...]:
        return self.segment.words

    def text(self, first: int, end: int) -> str:
        start = self.places[first] if first else 0  # an opening quote belongs to no word
        return self.segment.text[start : self.places[end]].strip()

    def sentences(self) -> Iterator[tuple[int, int]]:
        """Yield the spans between ends of sentences and pauses."""
        first = 0
        for at in range(1, len(self.words) + 1):
            if at == len(self.words) or self.gap(at) >= PAUSE or self._ends(at, _ENDS):
                yield first, at
                first = at

    def halves(self, first: int, end: int) -> list[tuple[int, int]]:
        """Cut a span until its parts fit."""
        if end - first == 1 or self.fits(first, end):
            return [(first, end)]
        at = min(range(first + 1, end), key=lambda at: self._cost(first, at, end))
        return self.halves(first, at) + self.halves(at, end)

    def joined(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Join very short spans with a neighbour, if no pause is between them."""
        found = list(spans[:1])
        for first, end in spans[1:]:
            before = found[-1][0]
            short = min(self._seconds(before, first), self._seconds(first, end)) < _SHORTEST
            if short and self.gap(first) < PAUSE and self.fits(before, end):
                found[-1] = (before, end)
            else:
                found.append((first, end))
        return found

    def piece(self, first: int, end: int) -> TimedSegment:
        """Return a span as a segment."""
        words = self.words[first:end]
        before = sum(len(word.tokens) for word in self.words[:first])
        tokens = tuple(token for word in words for token in word.tokens)
        return replace(
            self.segment,
            start=words[0].start,
            end=words[-1].end,
            text=self.text(first, end),
            words=words,
            tokens=tokens,
            token_logprobs=self.segment.token_logprobs[before : before + len(tokens)],
        )

    def fits(self, first: int, end: int) -> bool:
        """Return whether a span is short enough for a caption."""
        if self._seconds(first, end) > LONGEST:
            return False
        lines = _lines(self.text(first, end))
        return len(lines) <= 2 and all(_columns(line) <= COLUMNS for line in lines)

    def gap(self, at: int) -> float:
        """Return the seconds of silence before a word."""
        return self.words[at].start - self.words[at - 1].end

    def _seconds(self, first: int, end: int) -> float:
        return self.words[end - 1].end - self.words[first].start

    def _ends(self, at: int, marks: str) -> bool:
        return self.words[at - 1].text.rstrip(_CLOSING).endswith(tuple(marks))

    def _cost(self, first: int, at: int, end: int) -> float:
        left, right = self.places[at] - self.places[first], self.places[end] - self.places[at]
        unequal = abs(left - right) / (left + right)
        clause = _AT_CLAUSE if self._ends(at, _CLAUSE_ENDS) else 0.0
        return unequal - clause - min(self.gap(at), PAUSE)


def _lines(text: str) -> list[str]:
    """Break a text into two lines of about the same length, or into more if it is longer."""
    columns = _columns(text)
    if columns <= COLUMNS:
        return [text]
    if columns > 2 * COLUMNS:
        return textwrap.wrap(text, COLUMNS, break_long_words=False)
    halves = [(text[:at].rstrip(), text[at:]) for at in _breaks(text)]
    best = min(halves, key=lambda two: max(map(_columns, two)), default=None)
    if best is not None and max(map(_columns, best)) <= COLUMNS:
        return list(best)
    return textwrap.wrap(text, COLUMNS, break_long_words=False)


def _breaks(text: str) -> Iterator[int]:
    """Yield where a line may end: at spaces, and between characters that take two columns."""
    for at in range(1, len(text)):
        before, after = text[at - 1], text[at]
        if before == " " or (
            "W" in map(unicodedata.east_asian_width, (before, after))
            and after not in _ENDS + _CLAUSE_ENDS + _CLOSING
        ):
            yield at


def _columns(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
