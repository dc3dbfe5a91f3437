"""Word error rate.

The client's only file that imports jiwer and whisper-normalizer (extra "bench").
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import install_command
from .connection import ClientError


@dataclass(frozen=True, slots=True)
class Words:
    """Counts for the word error rate. With insertions, wrong can exceed all."""

    wrong: int  # insertions, deletions and substitutions
    all: int  # words of the reference

    @property
    def rate(self) -> float:
        """The word error rate, 0 to 1 or more; 0 if the reference has no words."""
        return self.wrong / self.all if self.all else 0.0


def can_count() -> bool:
    """Return whether the extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("jiwer", "whisper_normalizer"))


def count(pairs: Sequence[tuple[str, str]], language: str | None) -> Words:
    """Count the word errors of transcripts against reference texts.

    Whisper's text normaliser is applied to both: the English one if the language is English or
    unknown ("Twenty minutes." equals "20 minutes"), otherwise the basic one.

    Args:
        pairs: reference text and transcript.
        language: a code such as "en" or "en-GB"; None = unknown.

    Raises:
        ClientError: the extra is not installed.
    """
    if not can_count():
        raise ClientError(f"word errors need the extra bench: {install_command('bench')}")
    import jiwer
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    english = language is None or language.split("-")[0].lower() == "en"
    normalise = EnglishTextNormalizer() if english else BasicTextNormalizer()
    wrong = total = 0
    for truth, text in pairs:
        reference = normalise(truth)
        if not reference.strip():
            continue  # nothing is left after normalisation, such as "Hm."
        found = jiwer.process_words(reference, normalise(text))
        wrong += found.substitutions + found.deletions + found.insertions
        total += found.hits + found.substitutions + found.deletions
    return Words(wrong, total)
