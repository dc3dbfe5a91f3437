"""What is expected in a text: told the decoder beforehand, put right in what it wrote. Pure.

A text is heard without names first. Where it, or the next likely ones, are like some
of them, the decoder is told of those and writes down the sound once more, with no words
but those of names and of orders. How likely it holds the few texts with a name in them
that come of both, it says at last. A text that is like no name is heard as if there were
none (docs/names.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from ...biasing.carrier_phrases import carriers
from ...biasing.correct import corrector
from ...biasing.hypotheses import Rewrite, is_order, names_like, rewrites, unlike
from ...biasing.lexicon import strange, word_list, words
from ..protocol import DecodeOptions, Job

# Languages in which words that there are were measured to be the better ones. German writes new
# words every day: "Wohnzimmerlampe" is in no list.
_LISTED = frozenset({"en"})

_TOLD = 8  # names that the decoder is told of when it listens for them
_MEANT = 4  # of those, whose words are written anew
_LONGEST_ORDER = 20  # words; the decoder writes dictation only once


def hints(prompt: str | None, names: Sequence[str], fits: Callable[[str], bool]) -> str:
    """The text before the text: the operator's prompt, and as many names as fit."""
    text = prompt or ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if not fits(longer):
            break
        text = longer
    return text


@lru_cache(maxsize=8)
def strange_words(options: DecodeOptions, language: str) -> Callable[[str], int]:
    """How many words of a text are neither of the language nor of what is expected."""
    written = "en" if options.task == "translate" else language
    if written not in _LISTED:
        return lambda text: 0
    expected = words(" ".join((options.prompt or "", *options.names)).lower().replace("’", "'"))
    known = word_list(written), {form for word in expected for form in (word, *word.split("'"))}
    return lambda text: strange(text, *known)


class Expected:
    """The names that one job may hold.

    What was sent of its text stays as it is: only what follows is compared with names.

    Args:
        job: what was sent of it begins the text.
        language: that is spoken, Whisper's code.
    """

    def __init__(self, job: Job, language: str) -> None:
        names = job.options.names if job.options.task == "transcribe" else ()
        self._said = job.said
        self._home = corrector(names, language) if names else None

    def likely(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The few names that something in the texts is like; () where nothing is."""
        if self._home is None:
            return ()
        return names_like(self._home, self._rests(texts), _TOLD)

    def words(self, texts: Sequence[str], names: Sequence[str]) -> frozenset[str]:
        """The words that a sound can be written in, once more, to find a name in it.

        Those of all names, those that stand around a name in orders, and those of the first
        text that are like none of the names. In any others the decoder would write what it
        wrote. None where no text begins as an order does, or it is too long for one.
        """
        rests = self._rests(texts)
        if self._home is None or not rests or len(rests[0].split()) > _LONGEST_ORDER:
            return frozenset()
        if not is_order(self._home, rests):
            return frozenset()
        kept = unlike(self._home, rests[0], names[:_MEANT])
        return self._home.words | carriers(self._home.language) | kept

    def rewrites(
        self, heard: Sequence[str], asked: Sequence[str] = (), *, sure: float = 0.0
    ) -> tuple[Rewrite, ...]:
        """The few texts with a name in them that may have been said instead of the first.

        Args:
            heard: the likeliest first.
            asked: what the decoder wrote when it listened for names.
            sure: see biasing.hypotheses.rewrites.
        """
        if self._home is None:
            return ()
        found = rewrites(self._home, self._rests(heard), self._rests(asked), sure=sure)
        return tuple(replace(each, text=self._said + each.text) for each in found)

    def write(self, text: str) -> str:
        """The text with names as they should be, behind what was sent already."""
        if self._home is None:
            return text
        return self._said + self._home.correct(self._rest(text))

    def _rests(self, texts: Sequence[str]) -> list[str]:
        return [self._rest(text) for text in texts if text.startswith(self._said)]

    def _rest(self, text: str) -> str:
        return text.removeprefix(self._said)
