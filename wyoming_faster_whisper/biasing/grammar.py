"""Home Assistant's grammar: which of several texts is an order that a home understands. Pure.

The sentence templates are those of Home Assistant (package home-assistant-intents), and so is
the matcher (package hassil). Needs the extra "hass".

A template has places for names of devices, areas and floors. With the names of the home it
matches only these; without them, any few words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from unicode_rbnf import RbnfEngine

from ..errors import SettingError
from .tenant_cache import TenantCache

try:
    from hassil.expression import Expression, Group, RuleReference, TextChunk
    from hassil.intents import Intents, SlotList, TextSlotList, WildcardSlotList
    from hassil.recognize import RecognizeResult, recognize_all
    from home_assistant_intents import get_intents, get_languages
except ImportError as missing:
    raise SettingError(
        "--grammar needs the extra hass: pip install 'wyoming-faster-whisper[hass]'"
    ) from missing

LONGEST_ORDER = 20
"""Words; a longer text is dictation, and matches nothing."""

_PLACES = ("name", "area", "floor")  # the places for names in Home Assistant's templates
_LONGEST_NAME = 3  # words that an unknown name may have
_MOST_MATCHES = 20  # of a text with unknown names; the first that is plausible counts
_CODES = {"no": "nb", "nn": "nb", "zh": "zh-CN", "yue": "zh-HK"}  # Whisper's codes, if others
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_NUMBERS = 100  # numbers below are known as words

# Pairs of intents that must not be mistaken for each other. Words that only one of a pair has
# tell them apart: "on" and "off", "pause" and "resume".
_OPPOSITES = (
    ("HassTurnOn", "HassTurnOff"),
    ("HassStartTimer", "HassCancelTimer"),
    ("HassPauseTimer", "HassUnpauseTimer"),
    ("HassIncreaseTimer", "HassDecreaseTimer"),
    ("HassMediaPause", "HassMediaUnpause"),
    ("HassMediaNext", "HassMediaPrevious"),
    ("HassMediaPlayerMute", "HassMediaPlayerUnmute"),
    ("HassVacuumStart", "HassVacuumReturnToBase"),
    ("HassLawnMowerStartMowing", "HassLawnMowerDock"),
    ("HassListAddItem", "HassListRemoveItem"),
)


class Fit(IntEnum):
    """How well a text fits the grammar."""

    NONE = 0  # no template matches
    ORDER = 1  # a template matches, with names that may be those of a home
    HOME = 2  # a template matches, with names of this home, or without any


class Grammar:
    """Grammar of one language, with the names of one home. Milliseconds per text; any thread.

    Args:
        language: a code of grammar_languages().
        names: of devices, areas and floors; () = unknown.
    """

    def __init__(self, language: str, names: Sequence[str]) -> None:
        self._templates = _templates(language)
        known: dict[str, SlotList] | None = None
        if names:
            known = {each: TextSlotList.from_strings(names, name=each) for each in _PLACES}
        self._known = known
        self._name_words = frozenset(word for name in names for word in _words(name))

    def warm_up(self) -> None:
        """Parse all templates, which takes up to half a second; otherwise the first text does."""
        for templates in (self._templates.intents, self._templates.of_any_device):
            for intent in templates.intents.values():
                for data in intent.data:
                    for sentence in data.sentences:
                        assert sentence.expression is not None

    def fit(self, text: str) -> Fit:
        """Return how well a text fits the grammar."""
        if not 0 < len(text.split()) <= LONGEST_ORDER:
            return Fit.NONE
        templates = self._templates
        if self._known is not None and any(
            recognize_all(text, templates.of_any_device, slot_lists=self._known)
        ):
            return Fit.HOME
        for found in islice(
            recognize_all(text, templates.intents, slot_lists=_ANY_NAME), _MOST_MATCHES
        ):
            if _plausible(text, found):
                has_names = any(entity.name in _PLACES for entity in found.entities_list)
                return Fit.ORDER if has_names else Fit.HOME
        return Fit.NONE

    def keeps(self, text: str, other: str) -> bool:
        """Return whether another text has all words of a text that change what is done.

        These are numbers, words of lists (colours, states) and words that tell opposites apart,
        except in names of the home.
        """
        left = list(_words(other))
        for word in _words(text):
            if word in left:
                left.remove(word)
            elif self._changes_meaning(word):
                return False
        return True

    def _changes_meaning(self, word: str) -> bool:
        if any(character.isdigit() for character in word):
            return True
        return word in self._templates.decisive_words and word not in self._name_words


class _Templates:
    """The templates of a language. hassil parses each on its first use."""

    def __init__(self, language: str) -> None:
        self._code = _CODES.get(language, language)
        source = get_intents(self._code)
        assert source is not None
        self._source = source
        self.intents = Intents.from_dict(source)

    @cached_property
    def of_any_device(self) -> Intents:
        """The templates without their conditions.

        Most are limited to the domain of the named device, which is not known here.
        """
        return Intents.from_dict(_without_context(self._source))

    @cached_property
    def decisive_words(self) -> frozenset[str]:
        """The words that change what is done."""
        return frozenset(
            (
                *_number_words(self._code),
                *_listed_words(self._source),
                *_words_between_opposites(self.intents),
            )
        )


def grammar_languages() -> frozenset[str]:
    """Return Whisper's codes of the languages that have a grammar."""
    found = set(get_languages())
    return frozenset(found | {code for code, other in _CODES.items() if other in found})


def _grammar(language: str, names: tuple[str, ...]) -> Grammar | None:
    return Grammar(language, names) if language in grammar_languages() else None


grammar = TenantCache(_grammar, 4)
"""Returns the grammar for a tenant, the language and its names; None if the language has none."""


def choose_order(
    texts: Sequence[str],
    scores: Sequence[float],
    grammar: Grammar,
    gains: Mapping[Fit, float],
) -> int:
    """Return the index of the text that was most probably said in a home.

    A text that fits the grammar wins over a more probable one that does not, if their scores
    are close. If the first text fits as well as any text can, it stays.

    Args:
        texts: n-best list, the most probable first.
        scores: their log-probabilities (natural, whole text).
        gains: log-probability that a text gains by its fit.
    """
    first = grammar.fit(texts[0])
    best, best_value = 0, scores[0] + gains[first]
    for at, (text, score) in enumerate(zip(texts[1:], scores[1:], strict=True), start=1):
        if score + gains[Fit.HOME] <= best_value or not text:
            continue  # whatever its fit, it is not probable enough
        fit = grammar.fit(text)
        if fit > first and score + gains[fit] > best_value and grammar.keeps(texts[0], text):
            best, best_value = at, score + gains[fit]
    return best


_ANY_NAME: dict[str, SlotList] = {each: WildcardSlotList(each) for each in _PLACES}


@lru_cache(maxsize=4)
def _templates(language: str) -> _Templates:
    return _Templates(language)


def _plausible(text: str, found: RecognizeResult) -> bool:
    """Return whether the unknown names of a match are short, and at most half of its letters."""
    free = [_words(entity.text) for entity in found.entities_list if entity.is_wildcard]
    letters = sum(len(word) for words in free for word in words)
    return max(map(len, free), default=0) <= _LONGEST_NAME and 2 * letters <= sum(
        map(len, _words(text))
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _without_context(source: Mapping[str, Any]) -> dict[str, Any]:
    conditions = ("requires_context", "excludes_context")
    intents = {
        name: intent
        | {
            "data": [
                {key: value for key, value in data.items() if key not in conditions}
                for data in intent["data"]
            ]
        }
        for name, intent in source["intents"].items()
    }
    return {**source, "intents": intents}


def _number_words(code: str) -> Iterator[str]:
    try:
        engine = RbnfEngine.for_language(code.partition("-")[0])
    except ValueError:
        return
    for number in range(_NUMBERS):
        for text in engine.format_number(number).text_by_ruleset.values():
            yield from _words(text)


def _listed_words(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield the single words of lists, such as colours and states."""
    for some in source["lists"].values():
        for value in some.get("values", ()):
            said = value["in"] if isinstance(value, Mapping) else value
            words = _words(str(said))
            if len(words) == 1:
                yield words[0]


def _words_between_opposites(intents: Intents) -> Iterator[str]:
    for one, other in _OPPOSITES:
        if one in intents.intents and other in intents.intents:
            yield from _literals(intents, one) ^ _literals(intents, other)


def _literals(intents: Intents, name: str) -> set[str]:
    """Return the words that an intent's templates contain, rules included."""
    found: set[str] = set()
    for data in intents.intents[name].data:
        rules = {**intents.expansion_rules, **data.expansion_rules}
        followed: set[str] = set()
        for sentence in data.sentences:
            for chunk in _chunks([sentence.expression], rules, followed):
                found.update(_words(chunk))
    return found


def _chunks(
    expressions: Iterable[Expression], rules: Mapping[str, Any], followed: set[str]
) -> Iterator[str]:
    for each in expressions:
        if isinstance(each, TextChunk):
            yield each.text
        elif isinstance(each, Group):
            yield from _chunks(each.items, rules, followed)
        elif (
            isinstance(each, RuleReference)
            and each.rule_name in rules
            and each.rule_name not in followed
        ):
            followed.add(each.rule_name)
            yield from _chunks([rules[each.rule_name].expression], rules, followed)
