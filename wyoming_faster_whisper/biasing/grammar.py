"""Home Assistant's grammar: which of several texts is an order that a home understands. Pure.

The sentence templates are those of Home Assistant (package home-assistant-intents), and so is
the matcher (package hassil). Needs the extra "hass".

A template has places for names of devices, areas and floors. With the names of the home it
matches only these; without them, any few words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from enum import IntEnum
from itertools import islice

from .phonetics import sounds
from .templates import Match, name_lists, template_languages, templates, words_of
from .tenant_cache import TenantCache

LONGEST_ORDER = 20
"""Words; a longer text is dictation, and matches nothing."""

_LONGEST_NAME = 3  # words that an unknown name may have
_MOST_MATCHES = 20  # of a text with unknown names; the first that is plausible counts


class Fit(IntEnum):
    """How well a text fits the grammar."""

    NONE = 0  # no template matches
    ORDER = 1  # a template matches, with names that may be those of a home
    HOME = 2  # a template matches, with names of this home, or without any


class Grammar:
    """Grammar of one language, with the names of one home. Milliseconds per text; any thread.

    Args:
        language: a code of template_languages().
        names: of devices, areas and floors; () = unknown.
    """

    def __init__(self, language: str, names: Sequence[str]) -> None:
        self._templates = templates(language)
        self._known = name_lists(names) if names else None
        self._name_words = frozenset(word for name in names for word in words_of(name))

    def warm_up(self) -> None:
        """Parse all templates, which takes up to a second; otherwise the first texts do."""
        self._templates.parse()

    def fit(self, text: str) -> Fit:
        """Return how well a text fits the grammar."""
        if not 0 < len(text.split()) <= LONGEST_ORDER:
            return Fit.NONE
        known = self._templates
        if self._known is not None and known.matches_names(text, self._known):
            return Fit.HOME
        for found in islice(known.matches(text), _MOST_MATCHES):
            if _plausible(text, found):
                return Fit.ORDER if found.named else Fit.HOME
        return Fit.NONE

    def keeps(self, text: str, other: str) -> bool:
        """Return whether another text has the same words that change what is done.

        These are numbers, words of lists (colours, states) and words that tell opposites apart,
        except in names of the home. None of them may be missing. One may be added, but not in
        place of words that sound different: the templates do not know all forms of a verb.
        """
        one, two = words_of(text), words_of(other)
        left = list(two)
        for word in one:
            if word in left:
                left.remove(word)
            elif self._changes_meaning(word):
                return False
        changes = SequenceMatcher(None, one, two, autojunk=False).get_opcodes()
        return all(
            self._sounds_of(two[c:d]) <= set(map(sounds, one[a:b]))
            for tag, a, b, c, d in changes
            if tag == "replace"
        )

    def _sounds_of(self, words: Sequence[str]) -> set[str]:
        """Return the phonetic codes of those words that change what is done."""
        return {sounds(word) for word in words if self._changes_meaning(word)}

    def _changes_meaning(self, word: str) -> bool:
        if any(character.isdigit() for character in word):
            return True
        return word in self._templates.decisive_words and word not in self._name_words


def _grammar(language: str, names: tuple[str, ...]) -> Grammar | None:
    return Grammar(language, names) if language in template_languages() else None


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
    best_gain, said = gains[Fit.HOME], words_of(texts[0])
    rivals = [
        (at, text, score)
        for at, (text, score) in enumerate(zip(texts[1:], scores[1:], strict=True), start=1)
        if score + best_gain > scores[0] and words_of(text) not in ([], said)
    ]
    if not rivals:
        return 0
    first = grammar.fit(texts[0])
    best, best_value = 0, scores[0] + gains[first]
    for at, text, score in rivals:
        if first is Fit.HOME or score + best_gain <= best_value:
            continue  # whatever its fit, it is not probable enough
        if not grammar.keeps(texts[0], text):
            continue
        fit = grammar.fit(text)  # takes longer than all the rest
        if fit > first and score + gains[fit] > best_value:
            best, best_value = at, score + gains[fit]
    return best


def _plausible(text: str, found: Match) -> bool:
    """Return whether the unknown names of a match are short, and at most half of its letters."""
    free = [words_of(each) for each in found.free]
    letters = sum(len(word) for words in free for word in words)
    return max(map(len, free), default=0) <= _LONGEST_NAME and 2 * letters <= sum(
        map(len, words_of(text))
    )
