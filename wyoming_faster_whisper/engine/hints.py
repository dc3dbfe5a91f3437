"""What is expected in a text: told the decoder beforehand, put right in what it wrote. Pure.

A text is heard without names first. Where it, or the next likely ones, are like some
of them, the decoder says how likely it holds the text with each of those few in the
place of what sounds like it: it was told of them then. A text that is like no name is
heard as if there were none (docs/names.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from ..names.correct import Rewrite, corrector
from ..names.words import strange, word_list, words
from .base import DecodeOptions, Job

# Languages in which words that there are were measured to be the better ones. German writes new
# words every day: "Wohnzimmerlampe" is in no list.
_LISTED = frozenset({"en"})


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
    expected = " ".join((options.prompt or "", *options.names)).lower()
    known = word_list(written), frozenset(words(expected))
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

    def rewrites(self, texts: Sequence[str]) -> tuple[Rewrite, ...]:
        """The few texts with a name in them that may have been said instead of some."""
        if self._home is None:
            return ()
        rests = [self._rest(text) for text in texts if text.startswith(self._said)]
        return tuple(
            replace(found, text=self._said + found.text) for found in self._home.rewrites(rests)
        )

    def write(self, text: str) -> str:
        """The text with names as they should be, behind what was sent already."""
        if self._home is None:
            return text
        return self._said + self._home.correct(self._rest(text))

    def _rest(self, text: str) -> str:
        return text.removeprefix(self._said)
