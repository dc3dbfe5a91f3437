"""How many words are wrong.

The only file of the client that knows jiwer and whisper-normalizer (extra "bench").
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from .connection import ClientError


@dataclass(frozen=True, slots=True)
class Words:
    """Wrong words of all: put in, left out or another; more than all can be wrong."""

    wrong: int
    all: int

    @property
    def share(self) -> float:
        return self.wrong / self.all if self.all else 0.0


def can_count() -> bool:
    return all(importlib.util.find_spec(name) for name in ("jiwer", "whisper_normalizer"))


def count(pairs: Sequence[tuple[str, str]], language: str | None) -> Words:
    """Compare what was said with what was understood.

    Both go through Whisper's normaliser, the English one where the language is English or
    unknown ("Twenty minutes." and "20 minutes" are the same), else the basic one.

    Args:
        pairs: truth and text.

    Raises:
        ClientError: the extra is missing.
    """
    if not can_count():
        raise ClientError("counting words needs: pip install 'wyoming-faster-whisper[bench]'")
    import jiwer
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    english = language is None or language.split("-")[0].lower() == "en"
    normalise = EnglishTextNormalizer() if english else BasicTextNormalizer()
    wrong = total = 0
    for truth, text in pairs:
        said = normalise(truth)
        if not said.strip():
            continue  # "Hm." and the like: nothing is left to be right or wrong
        found = jiwer.process_words(said, normalise(text))
        wrong += found.substitutions + found.deletions + found.insertions
        total += found.hits + found.substitutions + found.deletions
    return Words(wrong, total)
