"""States of a turn, and which may follow which. Pure.

LISTENING --stop()--> STOPPED --answer()--> ANSWERING --answered()--> ANSWERED

close() leads from any of them to CLOSED, which is final. audio() needs LISTENING. Any other
call raises IllegalTransition and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from ..errors import IllegalTransition


class TurnState(Enum):
    """State of a turn; see the diagram above."""

    LISTENING = auto()
    STOPPED = auto()
    ANSWERING = auto()  # the answer is decoded, or on its way to the client
    ANSWERED = auto()
    CLOSED = auto()

    def to(self, state: TurnState) -> TurnState:
        """Return the next state.

        Raises:
            IllegalTransition: the diagram has no such transition.
        """
        if state not in _NEXT[self]:
            raise IllegalTransition(f"from {self.name} to {state.name}")
        return state


_NEXT: Mapping[TurnState, frozenset[TurnState]] = {
    TurnState.LISTENING: frozenset({TurnState.STOPPED, TurnState.CLOSED}),
    TurnState.STOPPED: frozenset({TurnState.ANSWERING, TurnState.CLOSED}),
    TurnState.ANSWERING: frozenset({TurnState.ANSWERED, TurnState.CLOSED}),
    TurnState.ANSWERED: frozenset({TurnState.CLOSED}),
    TurnState.CLOSED: frozenset(),
}
