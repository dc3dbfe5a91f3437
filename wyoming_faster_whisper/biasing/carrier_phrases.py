"""Carrier phrases: the words of a command or question that precede a device name. Pure.

After "start the", a word that sounds like a name probably is one: "start the works in ten
minutes" means the Worx, "the works will start on Monday" does not. Which words these are is
known from Home Assistant's sentence templates (extra "hass"). Without them there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from ..errors import SettingError
from .carrier_words import NAME, START, CarrierWords
from .lexicon import FUNCTION_WORD_ZIPF, zipf_frequencies


def follows_carrier(before: Sequence[str], language: str) -> bool:
    """Return whether these words are a carrier phrase, so that a name comes next.

    Any two neighbours in a carrier phrase are neighbours in a template. A single function word,
    such as "the", is not a carrier phrase.

    Args:
        before: the words of the text before the possible name.
        language: Whisper's language code; False for languages without templates.
    """
    known = carrier_words(language)
    words = [word for word in map(str.casefold, before) if word not in known.polite]
    if len(words) == 1 and zipf_frequencies(language).get(words[0], 0.0) > FUNCTION_WORD_ZIPF:
        return False
    return bool(words) and known.pairs.issuperset(pairwise((START, *words, NAME)))


@lru_cache(maxsize=8)
def carrier_words(language: str) -> CarrierWords:
    """Return the words around names; none without the extra "hass", or without templates.

    The first call for a language takes up to a second.
    """
    try:
        from .templates import template_languages, templates
    except SettingError:
        return CarrierWords()
    if language not in template_languages():
        return CarrierWords()
    return templates(language).carrier_words
