"""Home Assistant's sentence templates of one language, and the words in them. Pure.

The templates come from the package home-assistant-intents, and the parser from hassil: both are
in the extra "hass".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain, pairwise, permutations, product
from typing import Any, TypeAlias, TypeVar

from unicode_rbnf import RbnfEngine

from ..errors import SettingError, install_command
from .carrier_words import NAME, START, CarrierWords

try:
    from hassil.expression import (
        Alternative,
        Expression,
        Group,
        ListReference,
        Permutation,
        RuleReference,
        TextChunk,
    )
    from hassil.intents import IntentData, Intents, SlotList, TextSlotList, WildcardSlotList
    from hassil.recognize import recognize_all
    from home_assistant_intents import get_intents, get_languages
except ImportError as missing:
    raise SettingError(f"--grammar needs the extra hass: {install_command('hass')}") from missing

PLACES = ("name", "area", "floor")
"""The places for names of devices, areas and floors."""

T = TypeVar("T")
NameLists: TypeAlias = dict[str, SlotList]

_CODES = {"no": "nb", "nn": "nb", "zh": "zh-CN", "yue": "zh-HK"}  # Whisper's codes, if others
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_NUMBERS = 100  # numbers below are known as words

_MOST_TEXTS = 500  # of an expression that are joined; a longer one is split

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


@dataclass(frozen=True, slots=True)
class Match:
    """A template that matches a text whose names are unknown."""

    free: tuple[str, ...]  # what the template leaves open: names, items of lists, titles
    named: bool  # some of it is the name of a device, an area or a floor


class Templates:
    """The templates of a language. hassil parses each on its first use."""

    def __init__(self, language: str) -> None:
        self.code = _CODES.get(language, language)
        source = get_intents(self.code)
        assert source is not None
        self._source = source
        self.intents = Intents.from_dict(source)

    def matches_names(self, text: str, names: NameLists) -> bool:
        """Return whether a template matches a text that has only known names."""
        return any(recognize_all(text, self._of_any_device, slot_lists=names))

    def matches(self, text: str) -> Iterator[Match]:
        """Yield the matches of a text with any names."""
        for found in recognize_all(text, self.intents, slot_lists=_ANY_NAME):
            entities = found.entities_list
            yield Match(
                tuple(entity.text for entity in entities if entity.is_wildcard),
                any(entity.name in PLACES for entity in entities),
            )

    def parse(self) -> None:
        """Parse all templates and read their words, which takes up to a second.

        Otherwise the first texts do.
        """
        _ = self._of_any_device, self.decisive_words, self.carrier_words

    @cached_property
    def _of_any_device(self) -> Intents:
        """The templates without their conditions.

        Most are limited to the domain of the named device, which is not known here.
        """
        intents = {
            name: replace(intent, data=list(map(_without_context, intent.data)))
            for name, intent in self.intents.intents.items()
        }
        return replace(self.intents, intents=intents)

    @cached_property
    def decisive_words(self) -> frozenset[str]:
        """The words that change what is done."""
        return frozenset(
            (
                *_number_words(self.code),
                *_listed_words(self._source),
                *_words_between_opposites(self.intents),
            )
        )

    @cached_property
    def carrier_words(self) -> CarrierWords:
        """The words around names."""
        shared = _Summaries(self.intents.expansion_rules)
        around: set[str] = set()
        pairs: set[tuple[str, str]] = set()
        for intent in self.intents.intents.values():
            for data in intent.data:
                rules = {**self.intents.expansion_rules, **data.expansion_rules}
                summaries = _Summaries(rules) if data.expansion_rules else shared
                for sentence in data.sentences:
                    found = summaries.of(sentence.expression)
                    if NAME in found.words:
                        around |= found.words
                        pairs |= found.pairs
                        pairs.update((START, word) for word in found.first)
        polite = (word for text in self._source.get("skip_words", ()) for word in words_of(text))
        return CarrierWords(frozenset(around - {NAME}), frozenset(pairs), frozenset(polite))


_ANY_NAME: NameLists = {each: WildcardSlotList(each) for each in PLACES}


def name_lists(names: Iterable[str]) -> NameLists:
    """Return what may be in the places of the templates: these names.

    As in Home Assistant, brackets in a name are no template: "TV (old" would not be one.
    """
    some = list(names)
    return {
        each: TextSlotList.from_strings(some, allow_template=False, name=each) for each in PLACES
    }


def template_languages() -> frozenset[str]:
    """Return Whisper's codes of the languages that have templates."""
    found = set(get_languages())
    return frozenset(found | {code for code, other in _CODES.items() if other in found})


@lru_cache(maxsize=4)
def templates(language: str) -> Templates:
    """Return the templates of one of template_languages()."""
    return Templates(language)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORD.findall(text.casefold())


@dataclass(frozen=True, slots=True)
class _Summary:
    """The words of an expression, with NAME for a place for a name."""

    words: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()  # those that may come first
    last: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()  # neighbours
    empty: bool = True  # may be left out


_PLACE = frozenset({NAME})
_NAME = _Summary(words=_PLACE, first=_PLACE, last=_PLACE, empty=False)
_VALUE = _Summary(empty=False)  # a number, or a word of a list


class _Summaries:
    """Summaries of expressions that share some rules."""

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self._rules = rules
        self._known: dict[str, _Summary] = {}

    def of(self, each: Expression) -> _Summary:
        if isinstance(each, TextChunk):
            return _of_texts({each.text})
        if isinstance(each, ListReference):
            return _NAME if each.list_name in PLACES else _VALUE
        if isinstance(each, RuleReference):
            return self._of_rule(each.rule_name)
        if isinstance(each, Alternative):
            texts = _texts(each)
            return _of_texts(texts) if texts else _any_of(map(self.of, each.items))
        if isinstance(each, Permutation):
            return _in_any_order([self.of(item) for item in each.items])
        assert isinstance(each, Group)
        return _in_order(self._parts(each.items))

    def _of_rule(self, name: str) -> _Summary:
        if name not in self._known:
            self._known[name] = _Summary()  # for a rule that contains itself
            if name in self._rules:
                self._known[name] = self.of(self._rules[name].expression)
        return self._known[name]

    def _parts(self, items: Iterable[Expression]) -> Iterator[_Summary]:
        """Yield the summaries of a sequence; "light[s]" is one part, because it is one word."""
        texts = {""}
        for item in items:
            more = _texts(item)
            if more and len(texts) * len(more) <= _MOST_TEXTS:
                texts = {one + other for one in texts for other in more}
                continue
            yield _of_texts(texts)
            texts = more or {""}
            if not more:
                yield self.of(item)
        yield _of_texts(texts)


def _texts(each: Expression) -> set[str]:
    """Return the texts of an expression; empty if it has references, or too many texts."""
    if isinstance(each, TextChunk):
        return {each.text}
    if isinstance(each, Permutation) or not isinstance(each, Group):
        return set()
    inside = [_texts(item) for item in each.items]
    if not all(inside):
        return set()
    if isinstance(each, Alternative):
        return set(chain.from_iterable(inside))
    found = {""}
    for some in inside:
        if len(found) * len(some) > _MOST_TEXTS:
            return set()
        found = {one + other for one in found for other in some}
    return found


def _of_texts(texts: Iterable[str]) -> _Summary:
    split = [words_of(text) for text in texts]
    some = [words for words in split if words]
    return _Summary(
        words=frozenset(chain.from_iterable(some)),
        first=frozenset(words[0] for words in some),
        last=frozenset(words[-1] for words in some),
        pairs=frozenset(chain.from_iterable(map(pairwise, some))),
        empty=len(some) < len(split),
    )


def _any_of(parts: Iterable[_Summary]) -> _Summary:
    some = list(parts)
    return _Summary(
        words=_union(part.words for part in some),
        first=_union(part.first for part in some),
        last=_union(part.last for part in some),
        pairs=_union(part.pairs for part in some),
        empty=any(part.empty for part in some),
    )


def _in_any_order(parts: Sequence[_Summary]) -> _Summary:
    orders = (_in_order(order) for order in permutations(parts))
    return _any_of(orders)


def _in_order(parts: Iterable[_Summary]) -> _Summary:
    found = _Summary()
    for part in parts:
        found = _Summary(
            words=found.words | part.words,
            first=found.first | part.first if found.empty else found.first,
            last=found.last | part.last if part.empty else part.last,
            pairs=found.pairs | part.pairs | frozenset(product(found.last, part.first)),
            empty=found.empty and part.empty,
        )
    return found


def _union(sets: Iterable[frozenset[T]]) -> frozenset[T]:
    return frozenset(chain.from_iterable(sets))


def _without_context(data: IntentData) -> IntentData:
    """Return a copy without conditions that shares the parsed templates."""
    free = replace(data, requires_context={}, excludes_context={})
    vars(free)["sentences"] = data.sentences  # a cached property, which would parse them again
    return free


def _number_words(code: str) -> Iterator[str]:
    try:
        engine = RbnfEngine.for_language(code.partition("-")[0])
    except ValueError:
        return
    for number in range(_NUMBERS):
        for text in engine.format_number(number).text_by_ruleset.values():
            yield from words_of(text)


def _listed_words(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield the single words of lists, such as colours and states."""
    for some in source["lists"].values():
        for value in some.get("values", ()):
            said = value["in"] if isinstance(value, Mapping) else value
            words = words_of(str(said))
            if len(words) == 1:
                yield words[0]


def _words_between_opposites(intents: Intents) -> Iterator[str]:
    shared = _Summaries(intents.expansion_rules)
    for one, other in _OPPOSITES:
        if one in intents.intents and other in intents.intents:
            yield from _words_in(intents, one, shared) ^ _words_in(intents, other, shared)


def _words_in(intents: Intents, name: str, shared: _Summaries) -> frozenset[str]:
    """Return the words that an intent's templates contain, those of rules included."""
    found: set[str] = set()
    for data in intents.intents[name].data:
        own = {**intents.expansion_rules, **data.expansion_rules}
        words = _Summaries(own) if data.expansion_rules else shared
        for sentence in data.sentences:
            found |= words.of(sentence.expression).words
    return frozenset(found)
