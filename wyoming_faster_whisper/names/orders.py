"""Whether words order something of the thing that is named behind them. Pure.

"Start the work in ten minutes" is about a thing, which a Worx may be; "the works
will start on Monday" is not. An order begins with its verb, behind a few polite words,
and the thing follows it at once: "turn off the ...", "put the chairs away before ..." no more.
"""

from __future__ import annotations

from collections.abc import Iterable

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
_BETWEEN = 2  # words behind the verb: "off the"
_VERBS_OF = {language: frozenset(verbs.split()) for language, verbs in _VERBS.items()}


def is_order(before: Iterable[str], language: str) -> bool:
    """Whether an order has begun, and what it is about comes next.

    Args:
        before: the words up to there.
        language: Whisper's code.
    """
    words = [word for word in map(str.casefold, before) if word not in _POLITE]
    verbs = _VERBS_OF.get(language, ())
    return 1 <= len(words) <= 1 + _BETWEEN and words[0] in verbs
