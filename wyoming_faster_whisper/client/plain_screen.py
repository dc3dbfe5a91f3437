"""A progress bar and a level meter that show nothing: for pipes, files and logs."""

from __future__ import annotations

from typing import Self


class Bar:
    """A progress bar that shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, share: float) -> None:
        """Advance by a share of one item, 0 to 1."""


class Meter:
    """A level meter with text that shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, state: str, level: float, text: str) -> None:
        """Show the state, the input level and the text so far.

        Args:
            level: 0 (silence) to 1 (full scale).
        """
