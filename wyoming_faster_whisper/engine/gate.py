"""Is this text to be believed? Pure.

A short window, a noise or a foreign word can send the decoder into loops or
make it say what it saw most in training ("Thank you."). What gives it away is
counted here: repeats, an exhausted budget, a low mean log-probability, words that
nobody says, and the model's own word that nobody spoke.
"""

from __future__ import annotations

import json
import math
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib import resources
from operator import eq


class Verdict(Enum):
    """What to do with a decoded text."""

    BELIEVE = "believe"
    AGAIN = "again"  # decode once more, in another way
    EMPTY = "empty"  # nobody spoke


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a pass of the decoder gave."""

    text: str
    tokens: int
    logprob: float  # mean over tokens, natural log
    no_speech: float  # the model's probability that nobody spoke
    budget: int  # tokens that were allowed
    others: tuple[str, ...] = ()  # texts that it holds for less likely, the likeliest first
    likely: tuple[float, ...] = ()  # how likely the text and the others are, natural log

    @property
    def derailed(self) -> bool:
        """The decoder did not come to an end by itself, or went in circles."""
        return self.tokens >= self.budget or loops(self.text)

    @property
    def close(self) -> bool:
        """True where a hypothesis of other words is nearly as likely, and not likelier.

        One that is likelier has given way to this one for its words.
        """
        return any(
            0 <= self.likely[0] - likely < _CLOSE and not same_words(self.text, text)
            for text, likely in zip(self.others, self.likely[1:], strict=False)
        )

    @property
    def doubt(self) -> float:
        """The two signs of noise in one number; speech has little of it.

        The weight parts, with base and the window of a command, 40 recordings of noise, tones
        and kitchens that the VAD was not sure of (1.88 and more) from 45 whispered commands
        (1.82 and less).
        """
        return 1.5 * self.no_speech - self.logprob


_DOUBT = 1.85  # for what might be speech
# For what the VAD is sure of: no recorded order, clean or with kitchen noise down to 5 dB, is
# lost to it; loud kitchens, which can fool the VAD, have 1.97 and more.
_DOUBT_SURE = 1.95
_NO_SPEECH_SURE = 0.45

# Mean log-probability under which a second pass pays: of recorded orders, 8% of the clean ones
# and 19% of all down to 5 dB are there (docs/performance.md).
_CARE = -0.4

# By how much less likely a text is for each word in it that is none, natural log. With 1 nearly
# as many recorded orders are right as with 2 to 4, among which there is nothing to choose.
_NO_WORD = 2.0

# By how much less likely than the first another hypothesis is where the two are close, natural
# log of the whole text.
_CLOSE = 0.1

_MANY_DIGITS = 3  # in a text: a time, a code, a year

# Seconds of certain speech that are never answered with nothing without a second pass.
_LONG_SPEECH = 3.0

# Words by which another hypothesis is longer than one that breaks off.
_BROKEN_OFF = 2

_RIVALS = 3  # texts of one pass; with all five of a beam no more orders are right

# Whisper's own is 2.4 (openai/whisper: transcribe.py), of UTF-8, in which a letter takes up to
# three bytes that are much alike. With one byte a character, up to four sentences that follow one
# another compress by 2.48 at most in any language (bench.tokens_per_second).
_COMPRESSION = 2.6

# Around words, in any script; inside a word they belong to it.
_MARKS = ".,!?;:…\"'«»“”‘’()¿¡，。！？；：、・「」『』،؛؟۔।॥։՝՞՛።፣፤፧"

# Tokens of a text at most: the places of the decoder, less a prompt. Whisper's own limit is half
# of them (openai/whisper: decoding.py), which 13 s of Hindi fill.
_LONGEST = 400

# Tokens a second of speech that a language can need; python -m bench.tokens_per_second.
_TOKENS_PER_SECOND: dict[str, float] = json.loads(
    (resources.files(__package__) / "calibration" / "tokens_per_second.json").read_text("utf-8")
)["tokens_per_second"]
# Too many tokens cost time, and only where the decoder loops; too few cost the text.
_UNKNOWN = max(_TOKENS_PER_SECOND.values())

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


def token_budget(seconds: float, language: str) -> int:
    """Tokens that a clip of that length can need, with room to spare.

    Args:
        language: Whisper's code; any other gets the budget of the neediest language.
    """
    rate = _TOKENS_PER_SECOND.get(language, _UNKNOWN)
    return min(_LONGEST, 10 + math.ceil(rate * seconds))


def loops(text: str) -> bool:
    """True where a text says the same thing again and again.

    Four times the same word in a row, three times the same two or more, twice
    the same three or more at the end, or what compresses too well. In scripts that
    put no blanks between words a few characters count as one.
    """
    if len(text) > 40 and compression(text) > _COMPRESSION:
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


def compression(text: str) -> float:
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


def repeats(text: str) -> bool:
    """True where a word, or a phrase, follows itself anywhere in a text."""
    words = _split(text)
    return any(
        words[at : at + size] == words[at + size : at + 2 * size]
        for size in range(1, len(words) // 2 + 1)
        for at in range(len(words) - 2 * size + 1)
    )


def fragile(text: str) -> bool:
    """True for texts that a short window is known to get wrong: counts, and single words.

    One or two words give the decoder no context.
    """
    words = sum(size for _, size in _pieces(text.replace("-", " ")))
    return counts(text) or words < 2.99


def counts(text: str) -> bool:
    """True for texts in which a number of times matters: codes and repeats.

    In a short window "1234" becomes "12334", and "yes" said six times is heard five times.
    """
    return sum(map(str.isdigit, text)) >= _MANY_DIGITS or repeats(text)


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


def judge(decoded: Decoded, *, sure: bool, spoken: float = 0.0) -> Verdict:
    """Decide on the first pass.

    Args:
        sure: the VAD heard speech, not only something that might be.
        spoken: seconds of speech that the VAD heard.
    """
    nobody = Verdict.AGAIN if sure and spoken > _LONG_SPEECH else Verdict.EMPTY
    if not has_words(decoded.text):
        return nobody
    if not sure:
        noise = decoded.derailed or decoded.doubt > _DOUBT
        return Verdict.EMPTY if noise else Verdict.BELIEVE
    if decoded.no_speech > _NO_SPEECH_SURE and decoded.doubt > _DOUBT_SURE:
        return nobody
    if decoded.derailed or decoded.logprob < _CARE or fragile(decoded.text) or decoded.close:
        return Verdict.AGAIN
    return Verdict.BELIEVE


def has_words(text: str) -> bool:
    """True where a text holds a letter or a digit."""
    return any(character.isalnum() for character in text)


def unfinished(decoded: Decoded) -> bool:
    """True for a text that more sound after its last word may change.

    It has no final mark, or was doubted for more than what it says.
    """
    ended = decoded.text.rstrip()[-1:] in tuple(".?!…。？！।")
    return not ended or decoded.derailed or decoded.logprob < _CARE


def worded(decoded: Decoded, strange: Callable[[str], int]) -> Decoded:
    """What was heard, in words that there are, where the decoder holds that for likely too.

    A small model spells what it did not understand ("a double-shot moco", "medium-ro"), while
    one of its next likely texts has the word ("mocha", "medium roast").

    Args:
        strange: how many words of a text are none.

    Returns:
        The texts with the better one first; the figures stay those of the first.
    """
    count = strange(decoded.text)
    if not count or not decoded.likely:
        return decoded
    texts = (decoded.text, *decoded.others)

    def value(at: int) -> float:
        return decoded.likely[at] - _NO_WORD * strange(texts[at])

    fewer = [at for at, text in enumerate(texts) if text and strange(text) < count]
    best = max((0, *fewer), key=value)
    order = [best, *(at for at in range(len(texts)) if at != best)]
    text, *others = (texts[at] for at in order)
    return replace(
        decoded,
        text=text,
        others=tuple(others),
        likely=tuple(decoded.likely[at] for at in order),
    )


def rivals(*passes: Decoded) -> list[str]:
    """Return the likeliest hypotheses of each pass over the same speech, each text once.

    A text that only breaks off another is left out: the decoder holds the end of the text for
    likely after every sentence, whether or not there is more to hear.
    """
    found: dict[tuple[str, ...], str] = {}
    for decoded in passes:
        for text in (decoded.text, *decoded.others)[:_RIVALS]:
            if has_words(text):
                found.setdefault(tuple(plain_words(text)), text)
    return [
        text
        for words, text in found.items()
        if not any(
            other[: len(words)] == words and len(other) >= len(words) + _BROKEN_OFF
            for other, longer in found.items()
            if not repeats(longer)
        )
    ]


def likeliest(
    first: Decoded, likely: Mapping[str, Sequence[float]], strange: Callable[[str], int]
) -> Decoded:
    """Of the texts of two passes over the same speech, the one that both hold for likely.

    What one pass mistook the other seldom mistakes in the same way: a text that is only likely
    in one of them loses to one that is fairly likely in both.

    Args:
        first: what the first pass gave; its figures stay.
        likely: by text, how likely each pass holds it, all of it, natural log.
        strange: how many words of a text are none.
    """
    if not likely:
        return first

    def value(text: str) -> float:
        return sum(likely[text]) - len(likely[text]) * _NO_WORD * strange(text)

    text, *others = sorted(likely, key=value, reverse=True)
    return replace(first, text=text, others=tuple(others), likely=())
