"""One client's stream of speech, whichever transport carries it.

A transport tells its Session what arrived (request, start, hear, stop). It is told
the answers through send(), and what there is to say around them through tell().
Calls return at once; what takes time runs in the transport's TaskGroup, so that it
ends with the client.

    IDLE --start, hear--> LISTENING --stop--------> IDLE
                              |                      ^
                     the turn is over                |
                              v                      |
                          DRAINING --------stop------+    (start begins anew at any time)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum

from ..audio.pcm import PcmFormat
from ..speech.endpointing import EndReason
from .audio_input import AudioMemory
from .events import Answer, Notice
from .request import Request
from .turn import SessionContext, Turn

__all__ = ["Answer", "AudioMemory", "Session", "SessionContext"]

_LOGGER = logging.getLogger(__name__)


class SessionState(Enum):
    """Where a session is."""

    IDLE = "idle"
    LISTENING = "listening"
    DRAINING = "draining"  # the turn is over; what still comes of it is dropped


class Session:
    """One client's utterances, one after the other.

    There is one answer at a time: wait for answered() before start() and feed() while
    crowded, and before dash() and full_stop(). So a session holds two recordings at most.

    Args:
        tasks: decodes run in it; a ServerError that leaves it is for the client.
        send: hands an answer to the client.
        notify: hands a notice to the client; at once, without waiting.
    """

    def __init__(
        self,
        shared: SessionContext,
        tasks: asyncio.TaskGroup,
        send: Callable[[Answer], Awaitable[None]],
        *,
        notify: Callable[[Notice], None] = lambda _: None,
        name: str = "client",
    ) -> None:
        self._shared = shared
        self._tasks = tasks
        self._send = send
        self._notify = notify
        self._name = name
        self._request = Request()
        self._state = SessionState.IDLE
        self._turn: Turn | None = None  # the one that is heard
        self._answers: list[tuple[Turn, asyncio.Task[None]]] = []  # that are on their way
        self._warned: set[str] = set()
        self._is_half_closed = False

    def __repr__(self) -> str:
        seconds = self._turn.seconds if self._turn else 0.0
        doing = "answering" if self.answering else self._state.value
        silent = ", says no more" if self._is_half_closed else ""
        return f"<Session {self._name}, {doing}, {seconds:.1f} s heard{silent}>"

    @property
    def listening(self) -> bool:
        """Inside an utterance that is not over."""
        return self._state is SessionState.LISTENING

    @property
    def read_delay(self) -> float:
        """Seconds for which sound may gather before it is heard."""
        return self._turn.read_delay if self._turn else 0.0

    @property
    def two_pending(self) -> bool:
        """A turn was over by itself while the answer to the one before is on its way."""
        return len(self._answers) > 1

    @property
    def at_limit(self) -> bool:
        """The longest utterance is reached: dash() it."""
        return self._turn is not None and self._turn.seconds >= self._shared.max_seconds

    @property
    def answering(self) -> bool:
        """An answer is on its way."""
        return bool(self._answers)

    async def answered(self) -> None:
        """Wait until the answer that is on its way has gone out."""
        while self._answers:
            await asyncio.wait([task for _, task in self._answers])

    def request(self, request: Request) -> None:
        """Say how the utterance that runs, or else the next, is to be decoded."""
        self._request = request
        if self._turn is not None:
            self._turn.request = request

    def start(self, pcm: PcmFormat) -> None:
        """Begin an utterance; one that had not ended is forgotten."""
        self._discard_turn()
        self._shared.worker.reload()
        if self._shared.names is not None:
            self._shared.names.refresh()
        self._state = SessionState.LISTENING
        self._turn = Turn(
            self._shared,
            self._tasks,
            pcm,
            self._request,
            warned=self._warned,
            notify=self._notify,
            on_end=self._turn_ended,
            name=self._name,
        )

    def audio(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound, in the format that it says it has.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        if self._state is SessionState.IDLE:
            self.start(pcm)
        if self._turn is not None and not self.at_limit:
            self._turn.audio(pcm, data)

    def answer_truncated(self) -> None:
        """Answer what was heard of an utterance that is too long; its rest is drained."""
        _LOGGER.warning(
            "%s: %.0f s of audio is all we take; answering what was heard",
            self._name,
            self._shared.max_seconds,
        )
        assert self._turn is not None
        self._end_turn(self._turn, EndReason.FULL)

    def stop(self) -> None:
        """End the utterance: its answer is sent as soon as it is known."""
        if self._state is SessionState.IDLE:
            self.start(PcmFormat())
        if self._turn is not None:
            self._end_turn(self._turn, EndReason.STOPPED)
        self._state = SessionState.IDLE

    def abort(self) -> None:
        """The client has gone: withdraw what has not reached the model yet."""
        self._discard_turn()
        self.half_closed()

    def half_closed(self) -> None:
        """The client has closed its half, or gone: nobody knows whether it still reads.

        What the model has begun, or can begin at once, is answered.
        """
        self._is_half_closed = True
        for turn, task in self._answers:
            turn.client_left()
            if turn.is_queued:
                task.cancel()

    def _discard_turn(self) -> None:
        turn, self._turn = self._turn, None
        self._state = SessionState.IDLE
        if turn is not None:
            turn.close()

    def _turn_ended(self, turn: Turn, why: EndReason) -> None:
        if turn is self._turn:  # else it was stopped while its last sound was judged
            self._end_turn(turn, why)

    def _end_turn(self, turn: Turn, why: EndReason) -> None:
        self._turn = None
        self._state = SessionState.DRAINING
        self._request = Request()
        turn.stop()
        before = [task for _, task in self._answers]
        task = self._tasks.create_task(self._answer(turn, why, before))
        self._answers.append((turn, task))
        # A callback, because a task that is cancelled early never runs.
        task.add_done_callback(lambda task: self._answer_done(turn, task))

    async def _answer(self, turn: Turn, why: EndReason, before: list[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        await self._send(await turn.answer(why))
        turn.answered()

    def _answer_done(self, turn: Turn, task: asyncio.Task[None]) -> None:
        self._answers.remove((turn, task))
        turn.close()
        if task.cancelled():
            self._shared.count_lost("left")
        elif task.exception() is not None:
            self._shared.count_lost("failed")
