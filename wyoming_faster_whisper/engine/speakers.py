"""Speakers: the turns in progress whose text a person waits for. Pure.

A speaker is expected from the beginning of a turn until some time after its end, and speaks from
the first speech on until the turn is over, but at most as long as a command lasts: a dictation or
a television must not keep files waiting.
"""

from __future__ import annotations

from collections.abc import Hashable

from .protocol import LONGEST_COMMAND

# Seconds after the last turn for which another one is expected: commands often come in groups.
# Set by hand.
_GROUP = 60.0


class Speakers:
    """Turns in progress, and when speech began in them. Times are in seconds, on any clock."""

    def __init__(self) -> None:
        self._began: dict[Hashable, float] = {}  # turn → when it or its speech began
        self._last = float("-inf")  # when the last turn ended

    def begin(self, turn: Hashable) -> None:
        """Take note of a turn that begins, before any speech."""
        self._began.setdefault(turn, float("-inf"))

    def speak(self, turn: Hashable, now: float) -> None:
        """Take note that speech begins in a turn, or is about to."""
        if turn in self._began:
            self._began[turn] = now

    def end(self, turn: Hashable, now: float) -> None:
        """Take note that a turn has been answered, or discarded."""
        if self._began.pop(turn, None) is not None:
            self._last = now

    def expected(self, now: float) -> bool:
        """Return whether a command may come soon."""
        return bool(self._began) or now - self._last < _GROUP

    @property
    def until(self) -> float:
        """Time until which a command is being spoken, if all turns go on; -inf if none is."""
        return max(self._began.values(), default=float("-inf")) + LONGEST_COMMAND
