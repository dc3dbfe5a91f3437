"""Interface between a session and the upstream servers that wyoming.py implements. Pure."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from ...audio.recording import Recording
from ..protocol import Transcript

# Context key of a relayed request. The receiver does not relay it again, so there is no cycle.
RELAYED = "wyoming-faster-whisper-relayed"


class Tasks(Protocol):
    """Task group of a connection, such as asyncio.TaskGroup."""

    def create_task(self, coro: Coroutine[Any, Any, Any]) -> Any: ...


class Relay(Protocol):
    """One utterance that is being relayed to an upstream server.

    Call all methods in the event loop.
    """

    @property
    def alive(self) -> bool:
        """True while the upstream may still answer, and after it has answered."""
        ...

    @property
    def late(self) -> bool:
        """True if the upstream did not answer in time."""
        ...

    def more(self) -> None:
        """Send the audio by which the recording has grown."""
        ...

    def stop(self) -> None:
        """Send the rest of the audio: the recording is complete."""
        ...

    def drop(self) -> None:
        """Cancel the relay: its answer is not needed."""
        ...

    async def answer(self, seconds: float) -> Transcript | None:
        """Wait for the answer of the upstream.

        Args:
            seconds: maximum time to wait.

        Returns:
            None if the upstream did not answer in time, or refused or failed.
        """
        ...


class Upstreams(Protocol):
    """Upstream servers, which are asked before this server decodes."""

    @property
    def timeout(self) -> float:
        """Seconds that an upstream has for its answer, from the end of speech."""
        ...

    def relay(
        self,
        recording: Recording,
        names: Sequence[str],
        language: str | None,
        tasks: Tasks,
    ) -> Relay | None:
        """Start to relay an utterance; return None if no upstream is available for it.

        Args:
            recording: audio of the utterance. It may still grow; after that, call more().
            names: hotwords, most important first.
            language: Whisper's code; None = unknown.
            tasks: the relay runs as a task in this group.
        """
        ...

    def pinged(self, text: object) -> None:
        """Take the text of a received ping, to detect a ping that this server sent to itself."""
        ...
