"""What a turn needs of upstream servers; wyoming.py has them. Pure."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from ...audio.recording import Recording
from ..protocol import Transcript

RELAYED = "wyoming-faster-whisper-relayed"  # key of a context: one hop, and no cycle


class Tasks(Protocol):
    """Where what takes time runs."""

    def create_task(self, coro: Coroutine[Any, Any, Any]) -> Any: ...


class Relay(Protocol):
    """One utterance on its way to another server."""

    @property
    def alive(self) -> bool:
        """An answer may come from it."""
        ...

    @property
    def late(self) -> bool:
        """None came in time."""
        ...

    def more(self) -> None:
        """The recording has grown."""
        ...

    def stop(self) -> None:
        """The recording is whole."""
        ...

    def drop(self) -> None:
        """No answer is wanted."""
        ...

    async def answer(self, seconds: float) -> Transcript | None:
        """Wait for the answer; None if it did not come within seconds, or never will."""
        ...


class Upstreams(Protocol):
    """The servers that are asked first."""

    @property
    def timeout(self) -> float:
        """Seconds from the end of speech to an answer that is in time."""
        ...

    def relay(
        self,
        recording: Recording,
        names: Sequence[str],
        language: str | None,
        tasks: Tasks,
    ) -> Relay | None:
        """Begin to send an utterance on; None where nobody can be asked.

        Args:
            recording: grows while it is spoken; more() says so.
            names: to expect, most important first.
            language: Whisper's code; None = unknown.
            tasks: it is sent in it.
        """
        ...

    def pinged(self, text: object) -> None:
        """Take what somebody sent us in a ping: it may have been ourselves."""
        ...
