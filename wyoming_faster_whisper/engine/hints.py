"""What the decoder is told beforehand, and names put right in what it wrote. Pure.

A text is heard without names first. Where it is like some of them it is heard again
with those few in the prompt: they help four times as often as all that fit into it,
and a text that is like no name is heard as if there were none (docs/names.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..names.correct import corrector
from .base import Job


def hints(prompt: str | None, names: Sequence[str], fits: Callable[[str], bool]) -> str:
    """The text before the text: the operator's prompt, and as many names as fit."""
    text = prompt or ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if not fits(longer):
            break
        text = longer
    return text


class Expected:
    """The names that one job may hold.

    What was sent of its text stays as it is: only what follows is compared with names.

    Args:
        job: every text begins with what was sent of it, but what is heard again.
        language: that is spoken, Whisper's code.
    """

    def __init__(self, job: Job, language: str) -> None:
        names = job.options.names if job.options.task == "transcribe" else ()
        self._said = job.said
        self._home = corrector(names, language) if names else None

    def near(self, text: str) -> tuple[str, ...]:
        """The few names worth hearing it again for."""
        return self._home.near(self._rest(text)) if self._home else ()

    def found(self, *, before: str, after: str) -> bool:
        """Whether hearing it again brought out one of those."""
        if self._home is None or not after.startswith(self._said):
            return False
        near = self.near(before)
        return self._home.found(near, before=self._rest(before), after=self._rest(after))

    def write(self, text: str) -> str:
        """The text with names as they should be, behind what was sent already."""
        if self._home is None:
            return text
        return self._said + self._home.correct(self._rest(text))

    def _rest(self, text: str) -> str:
        return text.removeprefix(self._said)
