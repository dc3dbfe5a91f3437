"""Session: a client's audio stream, independent of the transport.

The transport calls request(), start(), audio() and stop() when those events arrive. The session
passes answers to send() and all other messages (see events.py) to notify(). The calls return at
once; slow work runs in the transport's TaskGroup, so it ends when the client leaves.

    IDLE --start, audio--> LISTENING --stop--------> IDLE
                               |                      ^
                      the turn has ended              |
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
    """State of a session; see the diagram above."""

    IDLE = "idle"
    LISTENING = "listening"
    DRAINING = "draining"  # the turn has ended; audio is dropped until the client stops


class Session:
    """A client's utterances, one after the other. Call all methods on the event loop.

    The caller limits the pending answers, so that a session holds at most two recordings: it
    awaits answered() before start() and audio() while two_pending is True, and always before
    answer_truncated() and stop().

    Args:
        shared: what all sessions share.
        tasks: task group in which the decodes run. A ServerError that leaves it is the error to
            report to the client.
        send: sends an answer to the client.
        notify: sends a notice to the client, without waiting.
        name: the client's name in the log.
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
        self._turn: Turn | None = None  # the turn that receives audio
        self._answers: list[tuple[Turn, asyncio.Task[None]]] = []  # pending, oldest first
        self._warned: set[str] = set()  # kinds of warnings already logged for this client
        self._is_half_closed = False

    def __repr__(self) -> str:
        seconds = self._turn.seconds if self._turn else 0.0
        doing = "answering" if self.answering else self._state.value
        silent = ", half closed" if self._is_half_closed else ""
        return f"<Session {self._name}, {doing}, {seconds:.1f} s heard{silent}>"

    @property
    def listening(self) -> bool:
        """True while a turn receives audio."""
        return self._state is SessionState.LISTENING

    @property
    def read_delay(self) -> float:
        """Read-coalescing delay in seconds: how long the transport may wait for more audio."""
        return self._turn.read_delay if self._turn else 0.0

    @property
    def two_pending(self) -> bool:
        """True if the server ended a turn before the previous answer was sent."""
        return len(self._answers) > 1

    @property
    def at_limit(self) -> bool:
        """True if the utterance is as long as allowed; the caller must answer_truncated()."""
        return self._turn is not None and self._turn.seconds >= self._shared.max_seconds

    @property
    def answering(self) -> bool:
        """True while an answer is pending."""
        return bool(self._answers)

    async def answered(self) -> None:
        """Wait until no answer is pending."""
        while self._answers:
            await asyncio.wait([task for _, task in self._answers])

    def request(self, request: Request) -> None:
        """Set the request for the current utterance, or for the next one if there is none."""
        self._request = request
        if self._turn is not None:
            self._turn.request = request

    def start(self, pcm: PcmFormat) -> None:
        """Begin an utterance. An utterance that has not ended is discarded.

        Args:
            pcm: format of the audio that will follow.
        """
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
        """Take more audio of the utterance; begin one if the session is idle.

        Args:
            pcm: format of the data.
            data: PCM bytes.

        Raises:
            AudioError: the format is not supported, or changed too often.
            Busy: the memory for audio is used up.
        """
        if self._state is SessionState.IDLE:
            self.start(pcm)
        if self._turn is not None and not self.at_limit:
            self._turn.audio(pcm, data)

    def answer_truncated(self) -> None:
        """End an utterance at its maximum length. Its remaining audio is ignored."""
        _LOGGER.warning(
            "%s: the utterance reached the limit of %.0f s; answering now, dropping the rest",
            self._name,
            self._shared.max_seconds,
        )
        assert self._turn is not None
        self._end_turn(self._turn, EndReason.FULL)

    def stop(self) -> None:
        """End the utterance. Its answer is sent as soon as it is ready."""
        if self._state is SessionState.IDLE:
            self.start(PcmFormat())
        if self._turn is not None:
            self._end_turn(self._turn, EndReason.STOPPED)
        self._state = SessionState.IDLE

    def abort(self) -> None:
        """Handle the end of the connection: discard the turn and cancel answers still queued."""
        self._discard_turn()
        self.half_closed()

    def half_closed(self) -> None:
        """Handle a client that sends no more and may or may not still read.

        Answers that are still queued are cancelled. An answer whose decode the model has begun,
        or can begin at once, is still sent.
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
        if turn is self._turn:  # else it was stopped while the VAD processed its last audio
            self._end_turn(turn, why)

    def _end_turn(self, turn: Turn, why: EndReason) -> None:
        self._turn = None
        self._state = SessionState.DRAINING
        self._request = Request()
        turn.stop()
        before = [task for _, task in self._answers]
        task = self._tasks.create_task(self._answer(turn, why, before))
        self._answers.append((turn, task))
        # A callback, not a finally clause: a task that is cancelled early never runs.
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
