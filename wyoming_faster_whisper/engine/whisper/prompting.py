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

from ...biasing.carrier_phrases import carrier_words
from ...biasing.correct import corrector
from ...biasing.hypotheses import Rewrite, is_order, rewrites, similar_names, words_unlike
from ...biasing.lexicon import count_oov, split_words, vocabulary
from ..protocol import DecodeOptions, Job

# Languages in which words that there are were measured to be the better ones. German writes new
# words every day: "Wohnzimmerlampe" is in no list.
_VOCABULARIES = frozenset({"en"})

_MOST_BIASED = 8  # names that the decoder is told of when it listens for them
_MOST_REWRITTEN = 4  # of those, whose words are written anew
_LONGEST_ORDER = 20  # words; the decoder writes dictation only once


def build_prompt(prompt: str | None, names: Sequence[str], fits: Callable[[str], bool]) -> str:
    """The text before the text: the operator's prompt, and as many names as fit."""
    text = prompt or ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if not fits(longer):
            break
        text = longer
    return text


@lru_cache(maxsize=8)
def oov_counter(options: DecodeOptions, language: str) -> Callable[[str], int]:
    """How many words of a text are neither of the language nor of what is expected."""
    written = "en" if options.task == "translate" else language
    if written not in _VOCABULARIES:
        return lambda text: 0
    biased = split_words(
        " ".join((options.prompt or "", *options.hotwords)).lower().replace("’", "'")
    )
    known = vocabulary(written), {form for word in biased for form in (word, *word.split("'"))}
    return lambda text: count_oov(text, *known)


class JobBiasing:
    """The names that one job may hold.

    What was sent of its text stays as it is: only what follows is compared with names.

    Args:
        job: what was sent of it begins the text.
        language: that is spoken, Whisper's code.
    """

    def __init__(self, job: Job, language: str) -> None:
        names = job.options.hotwords if job.options.task == "transcribe" else ()
        self._prefix = job.prefix
        self._corrector = corrector(names, language) if names else None

    def similar_names(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The few names that something in the texts is like; () where nothing is."""
        if self._corrector is None:
            return ()
        return similar_names(self._corrector, self._remainders(texts), _MOST_BIASED)

    def allowed_words(self, texts: Sequence[str], names: Sequence[str]) -> frozenset[str]:
        """The words that a sound can be written in, once more, to find a name in it.

        Those of all names, those that stand around a name in orders, and those of the first
        text that are like none of the names. In any others the decoder would write what it
        wrote. None where no text begins as an order does, or it is too long for one.
        """
        rests = self._remainders(texts)
        if self._corrector is None or not rests or len(rests[0].split()) > _LONGEST_ORDER:
            return frozenset()
        if not is_order(self._corrector, rests):
            return frozenset()
        kept = words_unlike(self._corrector, rests[0], names[:_MOST_REWRITTEN])
        return self._corrector.words | carrier_words(self._corrector.language) | kept

    def rewrites(
        self, hypotheses: Sequence[str], biased: Sequence[str] = (), *, avg_logprob: float = 0.0
    ) -> tuple[Rewrite, ...]:
        """The few texts with a name in them that may have been said instead of the first.

        Args:
            hypotheses: the likeliest first.
            biased: what the decoder wrote when it listened for names.
            avg_logprob: see biasing.hypotheses.rewrites.
        """
        if self._corrector is None:
            return ()
        found = rewrites(
            self._corrector,
            self._remainders(hypotheses),
            self._remainders(biased),
            avg_logprob=avg_logprob,
        )
        return tuple(replace(each, text=self._prefix + each.text) for each in found)

    def correct(self, text: str) -> str:
        """The text with names as they should be, behind what was sent already."""
        if self._corrector is None:
            return text
        return self._prefix + self._corrector.correct(self._remainder(text))

    def _remainders(self, texts: Sequence[str]) -> list[str]:
        return [self._remainder(text) for text in texts if text.startswith(self._prefix)]

    def _remainder(self, text: str) -> str:
        return text.removeprefix(self._prefix)
