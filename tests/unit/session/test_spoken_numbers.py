"""Numbers in words, written in digits."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.session.spoken_numbers import number_at_end, write_digits


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Set the lights to fifty percent.", "Set the lights to 50 percent."),
        ("Fifty-five per cent.", "55 per cent."),
        ("a hundred and twenty", "120"),
        ("one hundred and twenty degrees", "120 degrees"),
        ("twenty-one point five degrees", "21.5 degrees"),
        ("zero point two five", "0.25"),
        ("a timer for five minutes and thirty seconds", "a timer for 5 minutes and 30 seconds"),
        ("five minutes, thirty seconds", "5 minutes, 30 seconds"),
        ("Call five five five one two three four.", "Call 5551234."),
        ("the code is four oh seven nine", "the code is 4079"),
        ("Wake me at seven thirty.", "Wake me at 7:30."),
        ("nineteen eighty-four", "1984"),
        ("two thousand seven hundred kelvin", "2700 kelvin"),
        ("twenty-seven hundred kelvin", "2700 kelvin"),
        ("six thousand five hundred forty", "6540"),
        ("the twenty-first of May", "the twenty-first of May"),
        ("the one hundred and twenty first day", "the one hundred and twenty first day"),
        ("a thirty second timer", "a 30 second timer"),
        ("twenty, first the light", "20, first the light"),
        ("ten first", "10 first"),
        ("two thousand and twenty-six", "2026"),
        ("a thousand and one nights", "1001 nights"),
        ("two thousand and the light", "2000 and the light"),
        ("two thousand and two hundred", "2000 and 200"),
        ("five five five twelve thirty-four", "5551234"),
        ("at one thirty", "at 1:30"),
        ("Turn that one off.", "Turn that one off."),
        ("one or two of them", "one or two of them"),
        ("two three", "two three"),
        ("ten, twenty", "10, 20"),
        ("7 thirty", "7 thirty"),
        ("five %", "5 %"),
        ("I feel tenfold often", "I feel tenfold often"),
        ("", ""),
    ],
)
def test_english_numbers_are_written_in_digits(said: str, written: str) -> None:
    assert write_digits(said, "en") == written


@pytest.mark.parametrize(
    ("language", "said", "written"),
    [
        ("de", "auf einundzwanzig Komma fünf Grad", "auf 21,5 Grad"),
        ("de", "dreissig Prozent", "30 Prozent"),
        ("de", "Gib acht.", "Gib acht."),
        ("de", "Mach eine Lampe an.", "Mach eine Lampe an."),
        ("de", "um sieben Uhr dreißig", "um 7 Uhr 30"),
        ("fr", "à vingt-et-un degrés", "à 21 degrés"),
        ("fr", "vingt pour cent", "20 pour cent"),
        ("fr", "une lampe neuve, un neuf", "une lampe neuve, un neuf"),
        ("de", "zweitausendsiebenhundert Kelvin", "2700 Kelvin"),
        ("de", "einen sechsundzwanzig Minuten Timer", "einen 26 Minuten Timer"),
        ("fr", "zéro six douze trente-quatre", "061234"),
        ("fr", "deux mille sept cents kelvins", "2700 kelvins"),
        ("es", "treinta y cinco por ciento", "35 por ciento"),
        ("es", "setenta por cien", "70 por cien"),
        ("es", "cinco mil seiscientos kelvin", "5600 kelvin"),
        ("it", "ottanta su cento", "80 su cento"),
        ("nl", "tweeduizend zevenhonderd", "2700"),
        ("da", "en timer på to timer", "en timer på 2 timer"),
        ("da", "en ti minutters timer", "en 10 minutters timer"),
        ("it", "cinque per cento", "5 per cento"),
        ("it", "tu sei qui", "tu sei qui"),
        ("nl", "eenentwintig graden", "21 graden"),
        ("pl", "dwadzieścia jeden stopni", "21 stopni"),
        ("pt", "vinte e um graus", "21 graus"),
        ("ru", "двадцать один градус", "21 градус"),
        ("no", "tjueen grader", "21 grader"),
        ("sv", "tjugoen grader", "21 grader"),
        ("fr", "le vingt et unième jour", "le vingt et unième jour"),
        ("fr", "la quatre-vingt-deuxième", "la quatre-vingt-deuxième"),
        ("ru", "двадцать первого мая", "двадцать первого мая"),
        ("tr", "yirmi birinci gün", "yirmi birinci gün"),
        # Words and spellings that CLDR lacks.
        ("de", "auf hundert Prozent", "auf 100 Prozent"),
        ("de", "hundertzwanzig Sekunden", "120 Sekunden"),
        ("de", "ein hundert Prozent", "100 Prozent"),
        ("es", "veintiun grados, dieciseis minutos", "21 grados, 16 minutos"),
        ("it", "ventitre gradi", "23 gradi"),
        ("nl", "één minuut", "1 minuut"),
        ("nl", "tweeentwintig graden", "22 graden"),
        ("pt", "dezasseis graus", "16 graus"),
        ("pt", "cento e quatorze", "114"),
        ("ru", "тысяча", "1000"),
        ("uk", "п'ятдесят відсотків", "50 відсотків"),
        ("uk", "дев’ятнадцять градусів", "19 градусів"),
        ("uk", "пʼять хвилин", "5 хвилин"),
        ("uk", "двадцять одну хвилину", "21 хвилину"),
        ("sv", "hundra procent", "100 procent"),
        ("da", "et hundrede procent", "100 procent"),
        ("no", "syv grader", "7 grader"),
        ("no", "tredve prosent, tyve minutter", "30 prosent, 20 minutter"),
        ("no", "ett hundre prosent", "100 prosent"),
        ("hu", "két perc, tizenkét perc", "2 perc, 12 perc"),
        ("hu", "két lámpa", "két lámpa"),
        ("fr", "quatre-vingt pour cent", "80 pour cent"),
        ("fr", "septante-cinq pour cent", "75 pour cent"),
        ("fr", "nonante et un, huitante", "91, 80"),
        ("cs", "pětadvacet minut", "25 minut"),
        ("cs", "jednadvacet stupňů, dvaatřicet", "21 stupňů, 32"),
        # Compounds that are written apart.
        ("sv", "trettio fem procent", "35 procent"),
        ("no", "tjue to grader", "22 grader"),
        ("fi", "kaksikymmentä yksi astetta", "21 astetta"),
        ("it", "venti due gradi", "22 gradi"),
        ("nl", "twee duizend", "2000"),
        ("da", "to tusind syv hundrede kelvin", "2700 kelvin"),
        ("de", "zwischen fünf und zwanzig Prozent", "zwischen fünf und 20 Prozent"),
        ("sv", "noll sju noll fem", "0705"),
        # Thousands, "and", and a rest below a hundred.
        ("pt", "mil e cinquenta", "1050"),
        ("da", "tusind og halvtreds", "1050"),
        ("no", "to tusen sju hundre og femti", "2750"),
        ("ja", "二十一度", "二十一度"),
        (None, "twenty", "twenty"),
    ],
)
def test_numbers_of_other_languages(language: str | None, said: str, written: str) -> None:
    assert write_digits(said, language) == written


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("set it to twenty", "twenty"),
        ("set it to twenty one point", "twenty one point"),
        ("set it to twenty percent", ""),
        ("twenty, two", "two"),
        ("set it", ""),
    ],
)
def test_the_number_at_the_end_may_go_on(text: str, rest: str) -> None:
    assert text[number_at_end(text, "en") :] == rest


@pytest.mark.parametrize("apostrophe", "'’ʼ")
def test_an_apostrophe_is_part_of_the_number_at_the_end(apostrophe: str) -> None:
    text = f"на п{apostrophe}ятдесят"
    assert number_at_end(text, "uk") == len("на ")
