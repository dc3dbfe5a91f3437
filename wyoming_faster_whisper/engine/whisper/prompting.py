"""Contextual biasing of the decoder towards names (hotwords), and their correction. Pure.

The first decode runs without names. If one of its hypotheses resembles some names, the decoder
gets these names in its prompt and decodes the audio once more. This biased decode may use only
the words of names, the words around names in orders, and words of the first text that resemble
no name. Both decodes give a few texts with a name, which the decoder scores at last. If no
hypothesis resembles a name, the names change nothing (docs/names.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...biasing.carrier_phrases import carrier_words
from ...biasing.correct import corrector
from ...biasing.hypotheses import Rewrite, is_order, rewrites, similar_names, words_unlike
from ...biasing.lexicon import VOCABULARIES, count_oov, split_words, vocabulary
from ...biasing.tenant_cache import TenantCache
from ...biasing.weights import NameWeights
from ..protocol import DecodeOptions, Job

_MOST_BIASED = 8  # names in the prompt of the biased decode
_MOST_REWRITTEN = 4  # of these names, those whose similar words may be replaced
_LONGEST_ORDER = 20  # words; a longer text is dictation, which has no biased decode


def build_prompt(prompt: str | None, names: Sequence[str], fits: Callable[[str], bool]) -> str:
    """Return the prompt's text: the operator's prompt, and as many names as fit.

    Args:
        prompt: the operator's prompt.
        names: most important first.
        fits: returns True if a text is short enough for the prompt.
    """
    text = prompt or ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if not fits(longer):
            break
        text = longer
    return text


def _oov_counter(options: DecodeOptions, language: str) -> Callable[[str], int]:
    written = "en" if options.task == "translate" else language
    if written not in VOCABULARIES:
        return lambda text: 0
    biased = split_words(
        " ".join((options.prompt or "", *options.hotwords)).lower().replace("’", "'")
    )
    known = vocabulary(written), {form for word in biased for form in (word, *word.split("'"))}
    return lambda text: count_oov(text, *known)


oov_counter = TenantCache(_oov_counter, 4)
"""Returns a function that counts the out-of-vocabulary (OOV) words of a text.

It is given a tenant, its options and the language. The vocabulary is the word list of the written
language and the words of the prompt and of the hotwords. In languages without a measured benefit
the count is always 0.
"""


class JobBiasing:
    """Contextual biasing of one job.

    The prefix of the job was already sent to the client and does not change: only the rest of
    a text is compared with names.

    Args:
        job: its options have the names, its prefix begins each text.
        language: spoken language, Whisper's code.
        weights: weights for names of the model and the language.
    """

    def __init__(self, job: Job, language: str, weights: NameWeights) -> None:
        names = job.options.hotwords if job.options.task == "transcribe" else ()
        self._prefix = job.prefix
        self._corrector = corrector(job.tenant.name, names, language, weights) if names else None

    def similar_names(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the few names that something in the texts resembles; () if there are none.

        Args:
            texts: the n-best list, best first.
        """
        if self._corrector is None:
            return ()
        return similar_names(self._corrector, self._remainders(texts), _MOST_BIASED)

    def allowed_words(self, texts: Sequence[str], names: Sequence[str]) -> frozenset[str]:
        """Return the words that the biased decode may use.

        These are the words of all names, the words around names in orders, and the words of the
        first text that resemble none of the names. With any other words allowed, the decoder
        would only repeat the first text.

        Args:
            texts: the n-best list, best first.
            names: from similar_names().

        Returns:
            Empty if no text begins like an order, or if the first is too long for an order.
        """
        remainders = self._remainders(texts)
        if (
            self._corrector is None
            or not remainders
            or len(remainders[0].split()) > _LONGEST_ORDER
        ):
            return frozenset()
        if not is_order(self._corrector, remainders):
            return frozenset()
        kept = words_unlike(self._corrector, remainders[0], names[:_MOST_REWRITTEN])
        carrier = carrier_words(self._corrector.language)
        return self._corrector.words | carrier.around | carrier.polite | kept

    def rewrites(
        self, hypotheses: Sequence[str], biased: Sequence[str] = ()
    ) -> tuple[Rewrite, ...]:
        """Return the few texts with a name that may have been said instead of the first text.

        Args:
            hypotheses: n-best list of the first decode, best first.
            biased: n-best list of the biased decode.
        """
        if self._corrector is None:
            return ()
        found = rewrites(self._corrector, self._remainders(hypotheses), self._remainders(biased))
        return tuple(replace(each, text=self._prefix + each.text) for each in found)

    def correct(self, text: str) -> str:
        """Return the text with near misses of names corrected; the prefix stays as it is."""
        if self._corrector is None:
            return text
        return self._prefix + self._corrector.correct(self._remainder(text))

    def _remainders(self, texts: Sequence[str]) -> list[str]:
        return [self._remainder(text) for text in texts if text.startswith(self._prefix)]

    def _remainder(self, text: str) -> str:
        return text.removeprefix(self._prefix)
