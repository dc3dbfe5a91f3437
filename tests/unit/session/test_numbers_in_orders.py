"""Orders with numbers, as Home Assistant matches them after --text-style command."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import pytest
from hassil.intents import Intents, SlotList, TextSlotList
from hassil.recognize import recognize_all
from home_assistant_intents import get_intents

from wyoming_faster_whisper.session.text import Style

LISTS: dict[str, SlotList] = {
    place: TextSlotList.from_strings(["Netatmo"], name=place)
    for place in ("name", "area", "floor")
}


@lru_cache
def intents(language: str) -> Intents:
    source = get_intents(language)
    assert source is not None
    # The conditions of the templates are about devices that this home does not have.
    for intent in source["intents"].values():
        for data in intent["data"]:
            data.pop("requires_context", None)
    return Intents.from_dict(source)


def values(language: str, text: str, slots: set[str]) -> Iterator[dict[str, float]]:
    """Yield the values of these slots in each match that has them."""
    for match in recognize_all(text, intents(language), slot_lists=LISTS):
        each = match.entities
        if slots <= set(each):
            yield {slot: float(each[slot].value) for slot in slots}


@pytest.mark.parametrize(
    ("language", "said", "expected"),
    [
        ("en", "Set Netatmo to fifty percent.", {"percentage": 50}),
        ("en", "Set Netatmo to 50%.", {"percentage": 50}),
        ("en", "Set the temperature to twenty-one point five degrees.", {"temperature": 21.5}),
        ("en", "Set Netatmo color temperature to twenty-seven hundred.", {"temperature": 2700}),
        ("en", "Decrease the volume by twenty percent.", {"volume_step": -20}),
        ("en", "Set a timer for one hour and fifteen minutes.", {"hours": 1, "minutes": 15}),
        ("en", "Start a ninety second timer.", {"seconds": 90}),
        ("en", "Set a timer for half an hour.", {"minutes": 30}),
        ("de", "Stelle die Temperatur auf einundzwanzig Komma fünf Grad.", {"temperature": 21.5}),
        ("de", "Stelle Netatmo auf fünfzig Prozent.", {"position": 50}),
        ("de", "Stelle einen Timer auf fünf Minuten und dreißig Sekunden.",
         {"minutes": 5, "seconds": 30}),
        ("de", "Starte einen Timer für eine Stunde.", {"hours": 1}),
        ("fr", "Règle la température à vingt et un virgule cinq degrés.", {"temperature": 21.5}),
        ("fr", "Règle Netatmo à cinquante pour cent.", {"percentage": 50}),
        ("fr", "Mets un minuteur de cinq minutes et trente secondes.",
         {"minutes": 5, "seconds": 30}),
        ("es", "Pon la temperatura a veintiún coma cinco grados.", {"temperature": 21.5}),
        ("es", "Pon el brillo de Netatmo al cincuenta por ciento.", {"brightness": 50}),
        ("es", "Pon un temporizador de cinco minutos.", {"minutes": 5}),
        ("it", "Imposta la temperatura a ventuno virgola cinque gradi.", {"temperature": 21.5}),
        ("it", "Imposta Netatmo al cinquanta per cento.", {"percentage": 50}),
        ("it", "Imposta un timer di cinque minuti e trenta secondi.",
         {"minutes": 5, "seconds": 30}),
        ("nl", "Zet de temperatuur op eenentwintig komma vijf graden.", {"temperature": 21.5}),
        ("nl", "Zet Netatmo op vijftig procent.", {"percentage": 50}),
        ("nl", "Zet een timer voor vijf minuten en dertig seconden.",
         {"minutes": 5, "seconds": 30}),
        ("pl", "Ustaw temperaturę na dwadzieścia jeden stopni.", {"temperature": 21}),
        ("pl", "Ustaw Netatmo na pięćdziesiąt procent.", {"percentage": 50}),
        ("pl", "Ustaw minutnik na pięć minut.", {"minutes": 5}),
        ("pt", "Define a temperatura para vinte e um graus.", {"temperature": 21}),
        ("ru", "Установи температуру двадцать один градус.", {"temperature": 21}),
        ("ru", "Установи яркость Netatmo на пятьдесят процентов.", {"brightness": 50}),
        ("ru", "Поставь таймер на пять минут.", {"minutes": 5}),
        ("sv", "Sätt Netatmo till femtio procent.", {"brightness": 50}),
        ("sv", "Starta en timer på fem minuter och trettio sekunder.",
         {"minutes": 5, "seconds": 30}),
        ("da", "Sæt temperaturen til enogtyve grader.", {"temperature": 21}),
        ("nb", "Sett temperaturen til tjueen grader.", {"temperature": 21}),
        ("cs", "Nastav teplotu na dvacet jedna stupňů.", {"temperature": 21}),
        ("fi", "Aseta lämpötila kahteenkymmeneenyhteen asteeseen", {"temperature": 21}),
        ("hu", "Állítsd a hőmérsékletet huszonegy fokra", {"temperature": 21}),
    ],
)  # fmt: skip
def test_home_assistant_finds_the_number(
    language: str, said: str, expected: dict[str, float]
) -> None:
    whispers = {"nb": "no"}.get(language, language)
    written = Style(command=True).write(said, whispers)
    assert expected in values(language, written, set(expected)), written


def test_the_plain_style_leaves_the_decoders_spelling() -> None:
    for text in ("Set a timer for five minutes.", "Set a timer for 5 minutes."):
        assert Style().write(text, "en") == text
