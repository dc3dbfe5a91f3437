"""Opening of an utterance: what is said before the order, and does not belong to it. Pure.

A microphone that opens early records the end of the wake word ("Nabu, turn on the light"), and
speakers hesitate ("Uh, turn on the light"). The first is known to the operator (--strip-words),
the second to any speaker of the language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..biasing.phonetics import letters, phonetic_code

# Fillers by language, each letter once: "hmm" and "hm" are one. A filler in one language is a
# word in another: "um" is German for "at", "er" for "he". Answers such as "mhm", "oh" and "no"
# are not fillers.
_FILLERS = {
    language: frozenset(words.split())
    for language, words in {
        "": "hm m",
        "en": "uh uhm um erm er ah",
        "de": "äh ähm ähem öh öhm ehm ah",
        "fr": "euh heu ah",
        "es": "eh em ehm ah",
        "it": "eh ehm uhm ah",
        "nl": "eh ehm euh uh uhm ah",
        "pt": "hã ã eh ah",
        "pl": "y e ekhm",
        "ru": "э эм м хм",
        "uk": "е ем м хм",
        "cs": "ehm e",
        "sv": "öh eh",
        "da": "øh øhm",
        "no": "øh eh øhm",
        "fi": "öh ö",
    }.items()
}
_SHORTEST_FILLER = 2  # letters as written: "mm" is one, "m" may be a unit or a name

_WORD = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")

PERIODS = ".。．｡।۔።။։"
COMMAS = ",，、､،"

BETWEEN_WORDS = re.compile(rf"[\s{PERIODS}{COMMAS};:!?…؛؟！？—–-]*")
"""Matches any run of spaces and punctuation, and the empty string."""

_BEFORE = re.compile(rf"(?:[¿¡\"'«„“]|{BETWEEN_WORDS.pattern[:-1]})*")

_MOST_EXTRA = 1  # words that the decoder may make of one: "now boo" for "Nabu"
_SURE_CODE = 4  # sounds of a code that is hardly anything else


@dataclass(frozen=True, slots=True)
class Opening:
    """Removes the opening of a text.

    Args:
        phrases: wake words and greetings; the end of each may also stand alone.
    """

    phrases: tuple[str, ...] = ()
    _endings: tuple[tuple[str, ...], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        words = [tuple(map(letters, _WORD.findall(phrase))) for phrase in self.phrases]
        # The longest first, so that "okay nabu" is not taken for an "okay" before "nabu".
        endings = {each[at:] for each in words for at in range(len(each))}
        object.__setattr__(self, "_endings", tuple(sorted(endings, key=len, reverse=True)))

    def strip(self, text: str, language: str | None) -> str:
        """Return a text without its opening; "" if there is nothing else.

        The first word that is left gets the capital of the first word that was removed.

        Args:
            language: Whisper's code of the text; None = unknown.
        """
        rest = text
        while (end := self._end(rest, language)) > 0:
            rest = rest[end:]
        first = _WORD.search(text)
        if rest and rest != text and first is not None and first[0][0].isupper():
            return re.sub(r"[^\W_]", lambda letter: letter[0].upper(), rest, count=1)
        return rest

    def may_grow(self, text: str, language: str | None) -> bool:
        """Return True if more words may make a text an opening, or a longer one."""
        words = [letters(word) for word in _WORD.findall(self.strip(text, language))]
        longest = max(map(len, self._endings), default=0) + _MOST_EXTRA
        return not words or (0 < len(words) < longest)

    def _end(self, text: str, language: str | None) -> int:
        """Return where the first filler or phrase of a text ends; 0 if it begins with none."""
        words = list(_WORD.finditer(text))
        if not words or not _BEFORE.fullmatch(text, 0, words[0].start()):
            return 0
        spoken = [letters(word[0]) for word in words]
        for ending in self._endings:
            for count in (len(ending), len(ending) + _MOST_EXTRA, len(ending) - 1):
                if 0 < count <= len(words) and _same(spoken[:count], ending):
                    return _after(text, words[count - 1].end())
        first = words[0][0].casefold()
        filler = re.sub(r"(.)\1+", r"\1", first)
        known = _FILLERS[""] | _FILLERS.get(language or "", frozenset())
        if len(first) >= _SHORTEST_FILLER and filler in known:
            return _after(text, words[0].end())
        return 0


def _same(spoken: Sequence[str], ending: Sequence[str]) -> bool:
    """Return whether some words are a phrase, or sound like one that is long enough."""
    if "".join(spoken) == "".join(ending):
        return True
    code = phonetic_code(ending)
    return len(code) >= _SURE_CODE and phonetic_code(spoken) == code


def _after(text: str, at: int) -> int:
    found = BETWEEN_WORDS.match(text, at)
    assert found is not None  # the pattern matches the empty string
    return found.end()
