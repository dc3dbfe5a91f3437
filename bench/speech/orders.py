"""Orders drawn from Home Assistant's own sentence templates, for a home in several languages."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    TextChunk,
)
from hassil.intents import Intents, RangeSlotList, TextSlotList
from home_assistant_intents import get_intents
from unicode_rbnf import RbnfEngine

HOMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {
        "name": (
            "reading lamp",
            "coffee machine",
            "garage door",
            "ceiling fan",
            "bedroom heater",
        ),
        "area": ("kitchen", "living room", "bedroom", "bathroom", "hallway", "office"),
        "floor": ("ground floor", "basement"),
    },
    "de": {
        "name": ("Leselampe", "Kaffeemaschine", "Garagentor", "Deckenventilator", "Stehlampe"),
        "area": ("Küche", "Wohnzimmer", "Schlafzimmer", "Bad", "Flur", "Büro"),
        "floor": ("Erdgeschoss", "Keller"),
    },
    "fr": {
        "name": ("lampe de lecture", "machine à café", "porte du garage", "ventilateur"),
        "area": ("cuisine", "salon", "chambre", "salle de bain", "couloir", "bureau"),
        "floor": ("rez-de-chaussée", "sous-sol"),
    },
    "es": {
        "name": ("lámpara de lectura", "cafetera", "puerta del garaje", "ventilador"),
        "area": ("cocina", "salón", "dormitorio", "baño", "pasillo", "oficina"),
        "floor": ("planta baja", "sótano"),
    },
    "it": {
        "name": ("lampada da lettura", "macchina del caffè", "porta del garage", "ventilatore"),
        "area": ("cucina", "soggiorno", "camera da letto", "bagno", "corridoio", "ufficio"),
        "floor": ("piano terra", "cantina"),
    },
    "nl": {
        "name": ("leeslamp", "koffiemachine", "garagedeur", "ventilator", "staande lamp"),
        "area": ("keuken", "woonkamer", "slaapkamer", "badkamer", "gang", "kantoor"),
        "floor": ("begane grond", "kelder"),
    },
}
"""Names of devices, areas and floors, by language and by the place in a template."""

_INTENTS = (
    "HassTurnOn HassTurnOff HassLightSet HassClimateSetTemperature HassClimateGetTemperature "
    "HassSetPosition HassStartTimer HassCancelTimer HassSetVolume HassMediaPause HassMediaNext "
    "HassFanSetSpeed HassGetCurrentTime HassGetWeather HassVacuumStart HassShoppingListAddItem"
).split()
_ABOUT_DEVICES = (
    "HassTurnOn HassTurnOff HassGetState HassLightSet HassSetPosition HassFanSetSpeed "
    "HassClimateSetTemperature"
).split()
_ITEMS = {"en": "milk", "de": "Milch", "fr": "lait", "es": "leche", "it": "latte", "nl": "melk"}
_LONGEST = 12  # words


def home_names(language: str) -> tuple[str, ...]:
    """Return all names of the home of a language."""
    return tuple(name for names in HOMES[language].values() for name in names)


def draw_orders(language: str, count: int, seed: int) -> list[str]:
    """Draw different orders of 2 to 12 words, as many of each kind as there are templates for."""
    draw = _Draw(language, random.Random(f"{seed} {language}"), HOMES[language], _INTENTS)
    return list(islice(draw.orders(), count))


def draw_orders_with_gap(language: str, count: int, seed: int) -> list[str]:
    """Draw different orders and questions about a device, with {} for its name."""
    chance = random.Random(f"{seed} {language}")
    draw = _Draw(language, chance, {"name": ("{}",)}, _ABOUT_DEVICES)
    return list(islice((text for text in draw.orders() if text.count("{}") == 1), count))


class _Draw:
    """Draws orders; those with a place for which the home has no name are left out."""

    def __init__(
        self,
        language: str,
        chance: random.Random,
        home: Mapping[str, Sequence[str]],
        intents: Sequence[str],
    ) -> None:
        source = get_intents(language)
        assert source is not None
        self._intents = Intents.from_dict(source)
        self._language = language
        self._home = home
        self._chance = chance
        self._numbers = RbnfEngine.for_language(language)
        known = self._intents.intents
        self._names = [name for name in intents if name in known]

    def orders(self) -> Iterator[str]:
        """Yield different orders of 2 to 12 words."""
        found: set[str] = set()
        while True:
            text = self.order()
            if text and text not in found and 2 <= len(text.split()) <= _LONGEST:
                found.add(text)
                yield text

    def order(self) -> str | None:
        """Return an order; None if the template drawn has a place that cannot be filled."""
        data = self._chance.choice(self._intents.intents[self._chance.choice(self._names)].data)
        sentence = self._chance.choice(list(data.sentences))
        rules = {**self._intents.expansion_rules, **data.expansion_rules}
        lists = {**self._intents.slot_lists, **data.slot_lists}
        try:
            text = "".join(self._walk(sentence.expression, rules, lists))
        except KeyError:
            return None
        return re.sub(r"\s+", " ", text).strip()

    def _walk(
        self, each: Expression, rules: Mapping[str, Sentence], lists: Mapping[str, Any]
    ) -> Iterator[str]:
        if isinstance(each, TextChunk):
            yield each.original_text
        elif isinstance(each, Alternative):
            yield from self._walk(self._chance.choice(each.items), rules, lists)
        elif isinstance(each, Permutation):
            for item in self._chance.sample(each.items, len(each.items)):
                yield from self._walk(item, rules, lists)
                yield " "
        elif isinstance(each, Group):
            for item in each.items:
                yield from self._walk(item, rules, lists)
        elif isinstance(each, RuleReference):
            yield from self._walk(rules[each.rule_name].expression, rules, lists)
        elif isinstance(each, ListReference):
            yield self._value(each.list_name, rules, lists)

    def _value(self, name: str, rules: Mapping[str, Sentence], lists: Mapping[str, Any]) -> str:
        if name in self._home:
            return self._chance.choice(self._home[name])
        values = lists.get(name)
        if isinstance(values, RangeSlotList):
            number = self._chance.randrange(
                max(1, int(values.start)), int(values.stop) + 1, int(values.step)
            )
            return self._numbers.format_number(number).text
        if isinstance(values, TextSlotList):
            return "".join(self._walk(self._chance.choice(values.values).text_in, rules, lists))
        if name in ("item", "shopping_list_item"):
            return _ITEMS[self._language]
        raise KeyError(name)
