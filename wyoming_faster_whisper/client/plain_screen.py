"""A progress bar and a meter that show nothing: for pipes, files and logs."""

from __future__ import annotations

from typing import Self


class Bar:
    """Progress through so many equal things, unseen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, share: float) -> None:
        """Go on by a share of one thing, 0 to 1."""


class Meter:
    """A line that shows how loud it is and what was understood so far, unseen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, state: str, level: float, text: str) -> None:
        """Show it.

        Args:
            level: 0, silence, to 1, as loud as it can be.
        """
