"""Marks that may follow the last word of a text, as tokens to score. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .tokens import POSITIONS

_MARKS = ".,!?… -。？！"  # what is left out at the end of a text


class _Tokenizer(Protocol):
    def encode(self, text: str) -> list[int]: ...
    def mark(self, mark: str) -> int: ...


class EndMarks:
    """The marks of one tokenizer: that of a finished text, and those of an unfinished one."""

    def __init__(self, tokenizer: _Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stops = {mark: tokenizer.mark(mark) for mark in ".?!。"}
        self.dash, self.ellipsis = tokenizer.mark("-"), tokenizer.mark("...")

    def words(self, prompt: Sequence[int], texts: Sequence[str]) -> list[list[int] | None]:
        """Return the tokens of each text without its last mark; None if it cannot be scored.

        A text cannot be scored if it is empty, or so long that it leaves no room in the decoder
        for a mark and the end-of-text token.
        """
        tokens = [self._tokenizer.encode(text.rstrip(_MARKS)) for text in texts]
        return [
            some if text and len(prompt) + len(some) + 2 <= POSITIONS else None
            for text, some in zip(texts, tokens, strict=True)
        ]

    def stop(self, text: str) -> int:
        """Return the mark that a text ends with, or else the full stop."""
        return self._stops.get(text.rstrip()[-1:], self._stops["."])
