"""Carrier phrases: the words of a command or question that precede a device name. Pure.

After "start the", a word that sounds like a name probably is one: "start the works in ten
minutes" means the Worx, "the works will start on Monday" does not. In a command the verb
is among the first words, and the name follows it closely: "turn off the ..." is a carrier
phrase, "put the chairs away before ..." is not. A question begins with its question word
or verb: "is the ...", "what is the status of the ...".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .lexicon import FUNCTION_WORD_ZIPF, zipf_frequencies

_POLITE = frozenset(
    "please can could would will you now hey then just "
    "bitte kannst könntest du por favor puedes s'il te plaît peux tu puoi per favore "
    "alsjeblieft kun je podes pode".split()
)
_VERBS = {
    "en": "turn switch set start stop make open close dim check shut lock unlock raise lower "
    "activate deactivate enable disable run pause resume mute charge brighten",
    "de": "schalte schalt stelle stell setze setz mache mach starte start stoppe stopp öffne "
    "schließe dimme prüfe erhöhe senke aktiviere deaktiviere fahr fahre",
    "es": "enciende apaga pon inicia para abre cierra atenúa sube baja activa desactiva "
    "comprueba",
    "fr": "allume éteins mets règle démarre arrête ouvre ferme tamise monte baisse active "
    "désactive",
    "it": "accendi spegni imposta metti avvia ferma apri chiudi alza abbassa attiva disattiva",
    "nl": "zet doe schakel start stop open sluit dim verhoog verlaag activeer controleer",
    "pt": "liga ligue desliga desligue acende apaga põe define inicia para abre fecha sobe baixa "
    "ativa desativa",
}
_ASKING = {
    "en": "is are was what what's where where's how how's which",
    "de": "ist sind war was wo wie",
    "es": "está están es qué dónde cómo cuál",
    "fr": "est sont que où comment quel quelle",
    "it": "è sono che dove come qual",
    "nl": "is zijn was wat waar hoe",
    "pt": "está estão é que onde como qual",
}
_BEING = {
    "en": "is are was what's where's how's",
    "de": "ist sind war",
    "es": "está están es",
    "fr": "est sont",
    "it": "è sono",
    "nl": "is zijn was",
    "pt": "está estão é",
}
_STATES_AND_UNITS = {  # what questions ask for, and units of settings
    "en": "status state percent degrees seconds minute minutes hour hours",
    "de": "status prozent grad sekunden minute minuten stunde stunden",
    "es": "estado por ciento grados segundos minuto minutos hora horas",
    "fr": "état pour cent degrés secondes minute minutes heure heures",
    "it": "stato per cento gradi secondi minuto minuti ora ore",
    "nl": "status procent graden seconden minuut minuten uur",
    "pt": "estado por cento graus segundos minuto minutos hora horas",
}


def _sets(words: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(some.split()) for language, some in words.items()}


_VERBS_OF, _ASKING_OF, _BEING_OF = _sets(_VERBS), _sets(_ASKING), _sets(_BEING)
_NONE: frozenset[str] = frozenset()

_VERB_WITHIN = 3  # words: the verb is among the first of the text and the last before the name
_LONGEST_QUESTION = 6  # words before the name: "what is the status of the"
_CARRIER_ZIPF = 6.0  # Zipf frequency; words above may occur anywhere around a name


def is_order_about(before: Iterable[str], language: str) -> bool:
    """Return whether these words are a carrier phrase, so that a name comes next.

    Args:
        before: the words of the text before the possible name.
        language: Whisper's language code; False for languages without a word list.
    """
    words = [word for word in map(str.casefold, before) if word not in _POLITE]
    verbs = _VERBS_OF.get(language, _NONE)
    is_function_word = [
        zipf_frequencies(language).get(word, 0.0) > FUNCTION_WORD_ZIPF for word in words
    ]
    for at in range(max(0, len(words) - _VERB_WITHIN), min(len(words), _VERB_WITHIN)):
        if words[at] in verbs and not any(is_function_word[:at]):
            return True
    return (
        0 < len(words) <= _LONGEST_QUESTION
        and words[0] in _ASKING_OF.get(language, _NONE)
        and not _BEING_OF[language].isdisjoint(words)
        and is_function_word[-1]
    )


@lru_cache(maxsize=2)
def carrier_words(language: str) -> frozenset[str]:
    """Return the lower-case words that surround a name in commands and questions."""
    common_words = (
        word for word, zipf in zipf_frequencies(language).items() if zipf > _CARRIER_ZIPF
    )
    tables = (_VERBS, _ASKING, _BEING, _STATES_AND_UNITS)
    own = (word for words in tables for word in words.get(language, "").split())
    return frozenset((*common_words, *own, *_POLITE))
