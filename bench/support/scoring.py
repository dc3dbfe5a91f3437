"""Word errors, regardless of how a number or a spelled word is written.

Whisper's English normaliser leaves "1 2 3 4", "1-2-3-4", "1234" and "one two three four"
different, and "A-N-N-A" different from "ANNA". Here neighbouring digits and letters are joined.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

_english = EnglishTextNormalizer()
_basic = BasicTextNormalizer()

# The normaliser would remove leading zeros: "007" would become "7".
_LEADING_ZEROS = re.compile(r"(?<![.,\d])0\d+")
_TIMES = re.compile(r"(?<=\d)\s*[x×]\s*(?=\d)", re.IGNORECASE)
_TIME = re.compile(r"\d{1,2}\.[0-5]\d")
_CODE = re.compile(r"\d+|[b-hj-z]|[a-z]?\d+[a-z]?")
_ARTICLES = {"a", "i"}  # letters that are words, unless next to another letter

# Spellings of an interjection before a command. No command begins with any of these.
_INTERJECTIONS = set("hm hmm hmmm mm mmm mhm hum um okay ok hey hej hé eh he hi".split())

# Languages without spaces between words, or with several ways to put them.
_BY_CHARACTER = {"ja", "ko", "lo", "my", "th", "yue", "zh"}


@dataclass(frozen=True, slots=True)
class Errors:
    """Word errors of one text, or of several together."""

    wrong: int  # substitutions, deletions and insertions
    words: int  # in the reference text

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(self.wrong + other.wrong, self.words + other.words)


def word_errors(truth: str, text: str, language: str = "en") -> Errors:
    """Count the word errors of a text.

    In languages other than English, an interjection before the command is ignored.

    Args:
        truth: the reference text.
        text: the hypothesis.
        language: Whisper's code.
    """
    plain = comparable if language == "en" else _without_interjection
    said, heard = plain(truth), plain(text)
    found = jiwer.process_words(said, heard)
    return Errors(found.substitutions + found.deletions + found.insertions, len(said.split()))


def language_errors(truth: str, text: str, language: str) -> Errors:
    """Count the word errors of a recording; in some languages, the errors of characters.

    Args:
        truth: the reference text.
        text: the hypothesis.
        language: Whisper's code.
    """
    if language not in _BY_CHARACTER:
        return word_errors(truth, text, language)
    said, heard = (_basic(each).replace(" ", "") for each in (truth, text))
    found = jiwer.process_characters(said, heard)
    return Errors(found.substitutions + found.deletions + found.insertions, len(said))


def comparable(text: str) -> str:
    """Normalise English as Whisper does, and join spelled digits and letters."""
    spelled = _TIMES.sub(" times ", text.replace("°", " degrees "))
    spaced = _LEADING_ZEROS.sub(lambda digits: " ".join(digits[0]), spelled)
    # The normaliser writes a single 1 as "one", but every other digit as a digit.
    words = ["1" if word == "one" else word for word in _english(spaced).split()]
    # A time may be written "10.15", "10:15" or "1015".
    words = [word.replace(".", "") if _TIME.fullmatch(word) else word for word in words]
    return " ".join(_join(words))


def _join(words: list[str]) -> Iterator[str]:
    parts = [
        (word, bool(_CODE.fullmatch(word)) or _spelled(words, at))
        for at, word in enumerate(words)
    ]
    for joined, run in groupby(parts, key=lambda part: part[1]):
        some = [word for word, _ in run]
        yield from ["".join(some)] if joined else some


def _spelled(words: list[str], at: int) -> bool:
    """Return whether a word is a spelled letter "a" or "i": it stands next to another letter."""
    beside = words[max(0, at - 1) : at] + words[at + 1 : at + 2]
    return words[at] in _ARTICLES and any(len(word) == 1 and word.isalpha() for word in beside)


def _without_interjection(text: str) -> str:
    words = _basic(text).split()
    while words and words[0] in _INTERJECTIONS:
        del words[0]
    return " ".join(words)
