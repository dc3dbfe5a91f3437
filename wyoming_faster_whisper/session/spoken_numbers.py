"""Numbers that are written in words, as digits. Pure.

Whisper writes a number now in digits and now in words. Home Assistant's sentences take both for
most lists, other programs only digits. Number words come from Unicode's rules (CLDR, by
unicode-rbnf), from which Home Assistant's matcher has its own.

Numbers up to a thousand are looked up, larger ones put together: "two thousand seven hundred".
A compound may be written apart: Swedish "trettio fem" is "trettiofem". Three or more numbers
below a hundred in a row are a code or a phone number.

A word below ten stays unless a unit follows, because it is often not a number: "that one",
"un" (a), "acht" (in "gib acht"), "sei" (you are).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from unicode_rbnf import FormatPurpose, RbnfEngine

_LARGEST = 1000  # of the numbers that are looked up; larger ones are put together
_HUNDREDS = range(1100, 10001, 100)  # colour temperatures and years
_LEAST_ALONE = 10  # a smaller number is written in digits only in front of a unit
_LEAST_CODE = 3  # numbers below a hundred in a row that are a code or a phone number
_LATEST_HOUR = 24

# Languages with spaces between words, in which number words are looked for.
_UNITS = {
    "en": "percent degree degrees minute minutes hour hours second seconds o'clock am pm",
    "de": "prozent grad minute minuten stunde stunden sekunde sekunden uhr",
    "fr": "pourcent degré degrés minute minutes heure heures seconde secondes",
    "es": "grado grados minuto minutos hora horas segundo segundos",
    "it": "percento grado gradi minuto minuti ora ore secondo secondi",
    "nl": "procent graad graden minuut minuten uur seconde seconden",
    "pt": "grau graus minuto minutos hora horas segundo segundos",
    "pl": "procent procenta procentów stopień stopnie stopni minuta minutę minuty minut godzina "
    "godzinę godziny godzin sekunda sekundę sekundy sekund",
    "ru": "процент процента процентов градус градуса градусов минута минуту минуты минут час "
    "часа часов секунда секунду секунды секунд",
    "uk": "відсоток відсотки відсотків градус градуси градусів хвилина хвилину хвилини хвилин "
    "година годину години годин секунда секунду секунди секунд",
    "cs": "procento procenta procent stupeň stupně stupňů minuta minutu minuty minut hodina "
    "hodinu hodiny hodin sekunda sekundu sekundy sekund",
    "sv": "procent grad grader minut minuter timme timmar sekund sekunder",
    "da": "procent grad grader minut minutter time timer sekund sekunder",
    "no": "prosent grad grader minutt minutter time timer sekund sekunder",
    "fi": "prosenttia prosenttiin astetta asteeseen minuutti minuuttia minuutin tunti tuntia "
    "tunnin sekunti sekuntia sekunnin",
    "hu": "százalék százalékra fok fokra perc percre óra órára másodperc másodpercre",
    "tr": "yüzde derece dakika saat saniye",
}
_HOURS_OR_TIMER = "timer"  # Danish and Norwegian: "to timer" are hours, "en timer" is a timer
# Percent as two words, of which the second would be a hundred.
_PERCENT = {
    "en": {("per", "cent")},
    "es": {("por", "ciento"), ("por", "cien")},
    "fr": {("pour", "cent")},
    "it": {("per", "cento"), ("su", "cento")},
    "pt": {("por", "cento")},
}
# Between the whole number and its decimals, and the mark to write.
_POINTS = {
    "en": ("point", "."),
    "de": ("komma", ","),
    "fr": ("virgule", ","),
    "es": ("coma", ","),
    "it": ("virgola", ","),
    "nl": ("komma", ","),
    "pt": ("vírgula", ","),
    "pl": ("przecinek", ","),
    "ru": ("запятая", ","),
    "sv": ("komma", ","),
    "da": ("komma", ","),
    "no": ("komma", ","),
    "fi": ("pilkku", ","),
}
# What people say or write instead of CLDR's words: a pattern in these, and its replacement.
_OTHER_SPELLINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (("hundred ", "hundred and "), ("^one (?=hundred|thousand)", "a ")),
    "de": (("ß", "ss"), ("^ein(?=hundert|tausend)", "")),
    "es": (("é", "e"), ("ó", "o"), ("ú", "u")),
    "fr": (("vingts$", "vingt"),),
    "it": (("tré$", "tre"),),
    "nl": (("^een", "één"), ("ë", "e")),
    "pt": (("dezesse", "dezasse"), ("dezenove", "dezanove"), ("catorze", "quatorze")),
    "ru": (("^одн[ау] (?=тысяч)", ""),),
    "uk": (("ʼ", "'"), ("одна$", "одну"), ("^одн[ау] (?=тисяч)", "")),
    "sv": (("^ett(?=hundra|tusen)", ""),),
    "da": (("^(?=hundrede|tusind)", "et"),),
    "no": (
        *(("é", "e"), ("sju", "syv"), ("tjue", "tyve"), ("tretti", "tredve")),
        ("^(?=hundre|tusen)", "ett"),
    ),
    "hu": (("kettő$", "két"),),
}
# Tens of Belgium and Switzerland.
_FRENCH_TENS = {"septante": 70, "huitante": 80, "octante": 80, "nonante": 90}
# Czech "pětadvacet" is as usual as "dvacet pět".
_CZECH_ONES = "jedn dva tři čtyři pět šest sedm osm devět".split()
_ZEROS = {"en": ("oh",)}  # spoken for the digit in codes
# Between thousands or hundreds and a rest below a hundred: "two thousand and twenty-six".
_AND = {"en": "and", "pt": "e", "da": "og", "no": "og"}
_MOST_PARTS = 4  # words of a compound that is written apart: "två tusen sju hundra"

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

Words = Mapping[tuple[str, ...], int]


@lru_cache(maxsize=8)
def number_words(language: str) -> Words:
    """Return the numbers up to a thousand by their words; empty if they are not known."""
    if language not in _UNITS:
        return {}
    engine = RbnfEngine.for_language(language)
    found: dict[tuple[str, ...], int] = {}
    for number in (*range(_LARGEST + 1), *_HUNDREDS):
        for spelled in engine.format_number(number).text_by_ruleset.values():
            for each in _spellings(spelled.lower().replace("\u00ad", ""), language):
                found.setdefault(tuple(_WORD.findall(each)), number)
    if language == "en":  # "twenty-seven hundred kelvin"
        tens = [(words, number) for words, number in found.items() if 10 < number < 100]
        found |= {(*words, "hundred"): 100 * number for words, number in tens}
    elif language == "fr":
        twenties = [(words, number) for words, number in found.items() if 20 <= number < 30]
        for word, ten in _FRENCH_TENS.items():
            found |= {(word, *words[1:]): ten - 20 + number for words, number in twenties}
    elif language == "cs":
        round_numbers = [
            (words, number) for words, number in found.items() if number in range(20, 100, 10)
        ]
        for ones, word in enumerate(_CZECH_ONES, start=1):
            found |= {(f"{word}a{tens[0]}",): number + ones for tens, number in round_numbers}
    found.pop((), None)
    return found


@lru_cache(maxsize=8)
def compounds(language: str) -> Mapping[str, int]:
    """Return the numbers by their words, written without spaces."""
    return {"".join(words): number for words, number in number_words(language).items()}


@lru_cache(maxsize=8)
def ordinal_ends(language: str) -> frozenset[tuple[str, ...]]:
    """Return what makes an ordinal of the tens before it: "first", "et unième".

    Units are left out: "thirty seconds" are more usual than the thirty-second of a month. CLDR
    has ordinals in a few of the languages only.
    """
    engine, numbers = RbnfEngine.for_language(language), number_words(language)
    found: set[tuple[str, ...]] = set()
    for number in range(21, 100):
        try:
            spelled = engine.format_number(number, purpose=FormatPurpose.ORDINAL)
        except ValueError:  # no rules
            break
        for each in spelled.text_by_ruleset.values():
            words = tuple(_WORD.findall(each.lower()))
            found.update(
                words[at:]
                for at in range(1, len(words))
                if number - number % 10 == numbers.get(words[:at])
            )
    return frozenset(each for each in found if each[-1] not in _UNITS[language].split())


def _spellings(spelled: str, language: str) -> tuple[str, ...]:
    """Return the spellings that Whisper may use for one of CLDR."""
    found = [spelled]
    for pattern, other in _OTHER_SPELLINGS.get(language, ()):
        found += [each for one in found if (each := re.sub(pattern, other, one)) != one]
    return tuple(found)


def write_digits(text: str, language: str | None) -> str:
    """Write the numbers of a text in digits.

    Args:
        language: Whisper's code; None = unknown, and nothing changes.
    """
    words = number_words(language or "")
    if not words:
        return text
    assert language is not None
    return _Rewriter(text, language, words).rewrite()


def number_at_end(text: str, language: str | None) -> int:
    """Return where the number words at the end of a text begin; its length if there are none.

    The next word may belong to the same number.
    """
    words = number_words(language or "")
    if not words:
        return len(text)
    parts = {word for each in words for word in each}
    parts |= {*_POINTS.get(language or "", ("",))[:1], *_ZEROS.get(language or "", ())}
    begin = len(text)
    for word in reversed(list(_WORD.finditer(text))):
        between = text[word.end() : begin]
        if between.strip(" -") or _plain(word[0]) not in parts:
            break
        begin = word.start()
    return begin


def _plain(word: str) -> str:
    return word.lower().replace("’", "'")


class _Rewriter:
    """One text, word by word."""

    def __init__(self, text: str, language: str, numbers: Words) -> None:
        self._text = text
        self._tokens = list(_WORD.finditer(text))
        self._words = [_plain(token[0]) for token in self._tokens]
        self._numbers = numbers
        self._compounds = compounds(language)
        self._ordinal_ends = ordinal_ends(language)
        self._longest = max(_MOST_PARTS, *map(len, numbers))
        self._units = frozenset(_UNITS[language].split())
        self._percent = _PERCENT.get(language, set())
        # Elsewhere "one" is an article too: "en ti minutters timer" is not a time of day.
        self._earliest = 1 if language == "en" else 2
        self._point = _POINTS.get(language)
        self._zeros = _ZEROS.get(language, ())
        self._and = _AND.get(language)

    def rewrite(self) -> str:
        pieces: list[str] = []
        at = written = 0
        while at < len(self._tokens):
            digits, end = self._at(at)
            if end > at:
                pieces += [self._text[written : self._tokens[at].start()], digits]
                written = self._tokens[end - 1].end()
            at = max(end, at + 1)
        return "".join((*pieces, self._text[written:]))

    def _at(self, at: int) -> tuple[str, int]:
        """Return the digits for the words at a position, and the position after them.

        The position stays the same if there is no number to be written in digits.
        """
        if self._beside_digits(at) or (at and self._percent_at(at - 1)):
            return "", at
        code, end, count = self._code(at)
        if count >= _LEAST_CODE:
            return code, end
        value, end = self._number(at)
        if end == at:
            return "", at
        if (after := self._ordinal(value, end)) > end:
            return self._text[self._tokens[at].start() : self._tokens[after - 1].end()], after
        if (decimals := self._decimals(end)) is not None:
            assert self._point is not None
            return f"{value}{self._point[1]}{decimals[0]}", decimals[1]
        minutes, after = self._number(end) if self._joined(end - 1) else (0, end)
        clock = self._earliest <= value <= _LATEST_HOUR
        if after > end and clock and _LEAST_ALONE <= minutes < 60:
            return f"{value}:{minutes}", after
        if after > end and _LEAST_ALONE <= value <= _LATEST_HOUR and 60 <= minutes < 100:
            return f"{value}{minutes}", after  # a year
        if after > end and value < _LEAST_ALONE and minutes < _LEAST_ALONE:
            return "", at  # two digits: neither a code nor a number
        alone = value >= _LEAST_ALONE or self._unit_at(end, value)
        return (str(value), end) if alone else ("", at)

    def _number(self, at: int) -> tuple[int, int]:
        """Return the number of the longest run of words, and the position after it."""
        for count in range(min(self._longest, len(self._words) - at), 0, -1):
            value = self._value(tuple(self._words[at : at + count]))
            if value is not None and all(map(self._joined, range(at, at + count - 1))):
                return self._with_rest(value, at + count)
        return 0, at

    def _value(self, words: tuple[str, ...]) -> int | None:
        """Return the number that some words are, together or as the parts of a compound."""
        if (value := self._numbers.get(words)) is not None:
            return value
        # "fünf und zwanzig" are two numbers: a part that is no number is not written apart.
        if len(words) > 1 and all((word,) in self._numbers for word in words):
            return self._compounds.get("".join(words))
        return None

    def _with_rest(self, value: int, end: int) -> tuple[int, int]:
        """Add what follows a number of thousands, or of hundreds above a thousand."""
        zeros = 1000 if value % 1000 == 0 else 100 if value % 100 == 0 else 0
        if value >= _LARGEST and self._joined(end - 1):
            if self._words[end] == self._and and self._joined(end):
                zeros, rest_at = min(zeros, 100), end + 1
            else:
                rest_at = end
            rest, after = self._number(rest_at)
            if 0 < rest < zeros:
                return value + rest, after
        return value, end

    def _ordinal(self, value: int, end: int) -> int:
        """Return the position after the ordinal that a number begins; end if it begins none."""
        if value >= 20 and value % 10 == 0 and self._joined(end - 1):
            for after in (end + 1, end + 2):
                inside = all(map(self._joined, range(end, after - 1)))
                if inside and tuple(self._words[end:after]) in self._ordinal_ends:
                    return after
        return end

    def _code(self, at: int, largest: int = 99) -> tuple[str, int, int]:
        """Return numbers in a row as one, the position after them, and how many they are."""
        digits, end, count = "", at, 0
        while end < len(self._words) and (end == at or self._joined(end - 1)):
            if self._words[end] in self._zeros and end > at:
                value, after = 0, end + 1
            else:
                value, after = self._number(end)
            if after == end or value > largest:
                break
            digits, end, count = f"{digits}{value}", after, count + 1
        return digits, end, count

    def _decimals(self, at: int) -> tuple[str, int] | None:
        """Return the digits after a decimal point at a position, and the position after them."""
        joined = at < len(self._words) and self._joined(at - 1)
        if self._point is None or not joined or self._words[at] != self._point[0]:
            return None
        if not self._joined(at):
            return None
        digits, end, _ = self._code(at + 1, largest=9)
        if end > at + 1:
            return digits, end
        value, end = self._number(at + 1)
        return (str(value), end) if end > at + 1 else None

    def _joined(self, at: int) -> bool:
        """Return whether only a space or a hyphen is between a word and the next one."""
        if at + 1 >= len(self._tokens):
            return False
        between = self._text[self._tokens[at].end() : self._tokens[at + 1].start()]
        return between in (" ", "-", "\u00a0", "\u2011")

    def _unit_at(self, at: int, value: int) -> bool:
        """Return whether a unit follows a number."""
        if at >= len(self._words) or not self._joined(at - 1):
            return self._text[self._tokens[at - 1].end() :].lstrip()[:1] in ("%", "°")
        if value == 1 and self._words[at] == _HOURS_OR_TIMER:
            return False
        return self._words[at] in self._units or self._percent_at(at)

    def _percent_at(self, at: int) -> bool:
        return tuple(self._words[at : at + 2]) in self._percent

    def _beside_digits(self, at: int) -> bool:
        """Return whether digits are right before a word: "1 million", "7 thirty"."""
        before: Sequence[str] = self._text[: self._tokens[at].start()].split()
        return bool(before) and before[-1][-1:].isdigit()
