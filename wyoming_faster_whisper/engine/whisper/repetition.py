"""Repetition in a text: decoder loops, and what people repeat. Pure."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from operator import eq

# Whisper's own is 2.4 (openai/whisper: transcribe.py), of UTF-8, in which a letter takes up to
# three bytes that are much alike. With one byte a character, up to four sentences that follow one
# another compress by 2.48 at most in any language (bench.tokens_per_second).
_MAX_COMPRESSION_RATIO = 2.6

# Around words, in any script; inside a word they belong to it.
_MARKS = ".,!?;:…\"'«»“”‘’()¿¡，。！？；：、・「」『』،؛؟۔।॥։՝՞՛።፣፤፧"

# First and last character of scripts that put no blanks between words, and how many characters
# make a word, about.
_UNSPACED = (
    ("\u0e00", "\u109f", 5),  # Thai, Lao, Tibetan, Myanmar
    ("\u1780", "\u17ff", 5),  # Khmer
    ("\u3040", "\u30ff", 3),  # Kana
    ("\u3005", "\u3005", 2),  # the sign that repeats a Han character
    ("\u3400", "\u9fff", 2),  # Han
    ("\uf900", "\ufaff", 2),
    ("\U00020000", "\U0003ffff", 2),
)


def has_loop(text: str) -> bool:
    """True where a text says the same thing again and again.

    Four times the same word in a row, three times the same two or more, twice
    the same three or more at the end, or what compresses too well. In scripts that
    put no blanks between words a few characters count as one.
    """
    if len(text) > 40 and compression_ratio(text) > _MAX_COMPRESSION_RATIO:
        return True
    pieces = list(_pieces(text))
    for period in range(1, len(pieces) // 2 + 1):
        same = list(map(eq, pieces, pieces[period:]))
        if sum(same) < period:
            continue
        run = 0  # pieces that come again a period later
        for at, again in enumerate(same):
            run = run + 1 if again else 0
            if run >= period:
                size = sum(size for _, size in pieces[at + 1 - period : at + 1])
                if run >= (_times(size, last=at + 1 == len(same)) - 1) * period:
                    return True
    return False


def compression_ratio(text: str) -> float:
    """How far a text compresses, with one byte a character in any script."""
    numbers: dict[str, int] = {}
    data = bytes(numbers.setdefault(character, len(numbers)) % 256 for character in text)
    return len(data) / len(zlib.compress(data))


def _pieces(text: str) -> Iterator[tuple[str, float]]:
    """Words, or characters where no blanks part the words, and their size in words."""
    word = ""
    for character in (*text.lower(), " "):
        size = next(
            (1 / count for first, last, count in _UNSPACED if first <= character <= last), 0.0
        )
        if not size and not character.isspace():
            word += character
            continue
        if word := word.strip(_MARKS):
            yield word, 1.0
            word = ""
        # Vowel signs and tones are characters of a word; marks are none.
        if size and unicodedata.category(character)[0] in "LMN":
            yield character, size


def _times(size: float, *, last: bool) -> int:
    """How often in a row that many words are a loop.

    "No, no, no" and "stop it, stop it" are what people say, and "from one man to another, from
    one man to another, and"; a decoder that is caught in a loop does not go on to other words.

    Args:
        last: nothing else follows.
    """
    if size < 0.99:  # of a script without blanks: "hahaha"
        return 6
    if size < 1.99:
        return 4
    return 2 if size > 2.99 and last else 3


@dataclass(frozen=True, slots=True)
class Repeat:
    """Words at the end of a text that follow themselves."""

    start: int  # word with which the first round begins
    size: int  # words of one round
    rounds: int  # whole ones, at least 2


def repeated_tail(text: str) -> Repeat | None:
    """Find what a text says again and again at its end, wherever that begins.

    A decoder that loops seldom starts with the first word: usually it repeats the last sentence
    until its budget ends, in the middle of a round. Of several periods the one that explains
    most words counts.
    """
    words = _split(text)
    best: Repeat | None = None
    covered = 0
    for size in range(1, len(words) // 2 + 1):
        start = len(words)
        while start > size and words[start - size - 1] == words[start - 1]:
            start -= 1
        # words[start - size:] is periodic: its first round, and what repeats it.
        first = start - size
        rounds = (len(words) - first) // size
        if rounds >= 2 and len(words) - first > covered:
            best, covered = Repeat(first, size, rounds), len(words) - first
    return best


def shortened(text: str, repeat: Repeat, rounds: int) -> str:
    """Return a text with so many rounds of its repeated tail, without a comma at the end."""
    words = text.split()[: repeat.start + repeat.size * rounds]
    return " ".join(words).rstrip(",;:")


def has_repeat(text: str) -> bool:
    """True where a word, or a phrase, follows itself anywhere in a text."""
    words = _split(text)
    return any(
        words[at : at + size] == words[at + size : at + 2 * size]
        for size in range(1, len(words) // 2 + 1)
        for at in range(len(words) - 2 * size + 1)
    )


def plain_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without marks around them."""
    return [word for word in _split(text) if word]


def same_words(text: str, other: str) -> bool:
    """True for texts of the same letters and digits, as "double-shot" and "double shot" are."""
    return _letters(text) == _letters(other)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _split(text: str) -> list[str]:
    """As plain_words(), but for each piece between blanks, a mark that stands alone included."""
    return [word.strip(_MARKS + "-").lower() for word in text.split()]
