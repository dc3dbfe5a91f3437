"""Repetition in a text: decoder loops, and repetition by the speaker. Pure."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from operator import eq

# Whisper's own limit is 2.4 (openai/whisper: transcribe.py). It applies to UTF-8, in which a
# letter takes up to three similar bytes. With one byte per character, up to four consecutive
# sentences have a ratio of at most 2.48 in any language (python -m
# bench.calibration.tokens_per_second).
_MAX_COMPRESSION_RATIO = 2.6

# Punctuation around words, in any script; inside a word it belongs to the word.
_MARKS = ".,!?;:…\"'«»“”‘’()¿¡，。！？；：、・「」『』،؛؟۔।॥։՝՞՛።፣፤፧"

# Dashes and dots that separate words without a space: "wo-wo-wo", "no—no", "and...and".
_BREAKS = re.compile(r"[-\u2010-\u2015\u301c…]|\.{2,}")

# One to four letters three times in a row or more: "hahaha", "aaah".
_SYLLABLES = re.compile(r"(\w{1,4}?)\1{2,}")

# First and last character of scripts without spaces between words, and the approximate number
# of characters per word.
_UNSPACED = (
    ("\u0e00", "\u109f", 5),  # Thai, Lao, Tibetan, Myanmar
    ("\u1780", "\u17ff", 5),  # Khmer
    ("\u3040", "\u30ff", 3),  # Kana
    ("\u3005", "\u3005", 2),  # iteration mark, repeats a Han character
    ("\u3400", "\u9fff", 2),  # Han
    ("\uf900", "\ufaff", 2),
    ("\U00020000", "\U0003ffff", 2),
)


def has_loop(text: str) -> bool:
    """Return True if a text looks like the output of a decoder loop.

    These are loops: a word four times in a row, two or more words three times in a row, three
    or more words twice at the end, and a text with too high a compression ratio. The parts of a
    hyphenated word ("wo-wo-wo-wo") count as words, and in scripts without spaces a few characters
    as one.
    """
    if len(text) > 40 and compression_ratio(text) > _MAX_COMPRESSION_RATIO:
        return True
    pieces = list(_pieces(text))
    for period in range(1, len(pieces) // 2 + 1):
        same = list(map(eq, pieces, pieces[period:]))
        if sum(same) < period:
            continue
        run = 0  # consecutive pieces that recur one period later
        for at, again in enumerate(same):
            run = run + 1 if again else 0
            if run >= period:
                size = sum(size for _, size in pieces[at + 1 - period : at + 1])
                if run >= (_times(size, last=at + 1 == len(same)) - 1) * period:
                    return True
    return False


def compression_ratio(text: str) -> float:
    """Return the compression ratio of a text, with one byte per character in any script."""
    numbers: dict[str, int] = {}
    data = bytes(numbers.setdefault(character, len(numbers)) % 256 for character in text)
    return len(data) / len(zlib.compress(data))


def _pieces(text: str) -> Iterator[tuple[str, float]]:
    """Yield the words, or the characters in scripts without spaces, and their size in words.

    A hyphen, a dash or an ellipsis ends a word.
    """
    word = ""
    for character in (*_BREAKS.sub(" ", text.lower()), " "):
        size = next(
            (1 / count for first, last, count in _UNSPACED if first <= character <= last), 0.0
        )
        if not size and not character.isspace():
            word += character
            continue
        if word := word.strip(_MARKS):
            yield word, 1.0
            word = ""
        # Vowel signs and tone marks are part of a word; punctuation is not.
        if size and unicodedata.category(character)[0] in "LMN":
            yield character, size


def count_words(text: str) -> float:
    """Return the number of words; in scripts without spaces, an estimate."""
    return sum(size for _, size in _pieces(text))


def _times(size: float, *, last: bool) -> int:
    """Return how many times in a row a phrase must occur to be a loop.

    People do say "No, no, no", "stop it, stop it" and "from one man to another, from one man to
    another, and". A decoder in a loop does not go on to other words.

    Args:
        size: length of the phrase in words.
        last: the text ends with the phrase.
    """
    if size < 0.99:  # in a script without spaces: "hahaha"
        return 6
    if size < 1.99:
        return 4
    return 2 if size > 2.99 and last else 3


@dataclass(frozen=True, slots=True)
class Repeat:
    """Phrase that is repeated at the end of a text; each occurrence is a round."""

    start: int  # index of the first word of the first round
    size: int  # words per round
    rounds: int  # complete rounds, at least 2


def repeated_tail(text: str) -> Repeat | None:
    """Find the phrase that a text repeats at its end; None if there is none.

    A loop seldom starts with the first word. Usually the decoder repeats the last sentence until
    its budget is exhausted, in the middle of a round. Of several possible phrases, the one whose
    rounds cover the most words is returned.
    """
    words = _split(text)
    best: Repeat | None = None
    covered = 0
    for size in range(1, len(words) // 2 + 1):
        start = len(words)
        while start > size and words[start - size - 1] == words[start - 1]:
            start -= 1
        # words[start - size:] is periodic: the first round and its repetitions.
        first = start - size
        rounds = (len(words) - first) // size
        if rounds >= 2 and len(words) - first > covered:
            best, covered = Repeat(first, size, rounds), len(words) - first
    return best


def shortened(text: str, repeat: Repeat, rounds: int) -> str:
    """Return the text up to the given round of its repeated tail, without a final comma.

    Args:
        rounds: number of rounds to keep.
    """
    words = text.split()[: repeat.start + repeat.size * rounds]
    return " ".join(words).rstrip(",;:")


def has_repeat(text: str) -> bool:
    """Return True if a word or phrase occurs twice in a row anywhere in a text."""
    words = _split(text)
    return any(
        words[at : at + size] == words[at + size : at + 2 * size]
        for size in range(1, len(words) // 2 + 1)
        for at in range(len(words) - 2 * size + 1)
    )


def is_one_sound(text: str) -> bool:
    """Return True if a text is one word over and over, or mostly one syllable.

    For example "No, no" and "Hahaha".
    """
    words = plain_words(text)
    if len(words) > 1 and len(set(words)) == 1:
        return True
    # Digits are not counted: "1111" is a number.
    letters = "".join(filter(str.isalpha, text.lower()))
    repeated = sum(len(found.group()) for found in _SYLLABLES.finditer(letters))
    return 2 * repeated > len(letters)


def plain_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation around them."""
    return [word for word in _split(text) if word]


def same_words(text: str, other: str) -> bool:
    """Return True if both texts have the same letters and digits, in any case and spacing.

    "double-shot" and "double shot" are the same words.
    """
    return _letters(text) == _letters(other)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _split(text: str) -> list[str]:
    """Like plain_words(), but with an empty string for punctuation that stands alone."""
    return [word.strip(_MARKS + "-").lower() for word in text.split()]
