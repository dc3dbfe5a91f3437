"""Session: a client's audio stream, independent of the transport.

    async with Session(context, principal) as session:
        await session.start(pcm)
        await session.audio(pcm, data)
        await session.stop()

and, in another task:

    async for event in session.events():
        ...  # send it to the client

The session limits what it stores: start(), audio() and stop() wait while too many answers are
pending, audio() also while much of the utterance has not been processed. So a client that sends
faster than the model decodes is throttled by its transport.

    IDLE --start, audio--> LISTENING --stop--------> IDLE
                               |                      ^
                      the turn has ended              |
                               v                      |
                           DRAINING --------stop------+    (start begins anew at any time)

A continuous session is one endless stream, whose client need not stop: it has no DRAINING. At
the end of a turn the next one begins, with the first sample after it; silence without speech
(TurnRules.no_speech) is dropped without an answer. The client's stop() ends a turn as well, and
the next one begins with the next audio.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from ..audio.pcm import PcmFormat
from ..engine.protocol import DecodeKind
from ..errors import ServerError
from ..principal import Principal
from ..speech.endpointing import EndReason
from .audio_input import StreamRest
from .audio_memory import AudioMemory
from .context import SessionContext
from .events import Answer, AnswerFailed, Event, TurnEnded
from .outbox import Outbox
from .request import Request
from .turn import Turn

__all__ = ["Answer", "AudioMemory", "Session", "SessionContext"]

_LOGGER = logging.getLogger(__name__)

_SLICE = 64 * 1024  # bytes of audio converted at once before other clients get their turn

# In a continuous session:
_STEP = 0.25  # seconds of audio taken at once: 8 VAD windows, see audio_input.py
# Seconds that are kept of silence without a turn: the VAD detects a word up to 0.26 s late.
_KEPT = 0.5
_LATE_PAUSE = 2.0  # seconds in which a turn of the maximum length may reach a pause


class SessionState(Enum):
    """State of a session; see the diagram above."""

    IDLE = "idle"
    LISTENING = "listening"
    DRAINING = "draining"  # the turn has ended; audio is dropped until the client stops


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    """An answer that has not been delivered, or whose task has not ended."""

    turn: Turn
    task: asyncio.Task[None]
    delivered: asyncio.Future[None]


class Session:
    """A client's utterances, one after the other. Call all methods on the event loop.

    Leaving the context discards an utterance that has not ended and withdraws answers that are
    still queued. It then waits for answers whose decode has begun, because a client that sends no
    more may still read. A ServerError that is raised out of the context is the error to report to
    the client.

    Args:
        context: what all sessions share.
        principal: the client.
        partials: whether to yield partial text: "off", "auto" or "on"; None = as the server's
            settings say.
        continuous: the client sends one endless stream; see above. A request stays in force until
            the next one.
    """

    def __init__(
        self,
        context: SessionContext,
        principal: Principal,
        *,
        partials: str | None = None,
        continuous: bool = False,
    ) -> None:
        self._context = context
        self._principal = context.tenants.assign(principal)
        self._memory = context.memory.of(self._principal.tenant)
        self._ends: dict[Turn | None, Callable[[], None]] = {}  # of the tenant's requests
        self._partials = context.partials if partials is None else partials
        self._tasks = asyncio.TaskGroup()
        self._continuous = continuous
        self._turns = 0  # turns begun so far
        # Seconds of the stream of a continuous session: before the current turn, and in all.
        self._heard = self._received = 0.0
        self._request = Request()
        self._state = SessionState.IDLE
        self._turn: Turn | None = None  # the turn that receives audio
        self._answers: list[_Pending] = []  # oldest first
        self._outbox = Outbox()
        self._warned: set[str] = set()  # kinds of warnings already logged for this client
        self._is_half_closed = False

    def __repr__(self) -> str:
        seconds = self._turn.seconds if self._turn else 0.0
        doing = "answering" if self.answering else self._state.value
        silent = ", half closed" if self._is_half_closed else ""
        return f"<Session {self._principal.name}, {doing}, {seconds:.1f} s heard{silent}>"

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.abort()
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        finally:
            self._outbox.close()
            self._end_request(None)

    @property
    def principal(self) -> Principal:
        """The client, with the tenant to which it belonged when its last turn began."""
        return self._principal

    @property
    def listening(self) -> bool:
        """True while a turn receives audio; in a continuous session, from its speech on.

        There, if only the client ends turns, from the first audio on.
        """
        if self._continuous:
            return self._turn is not None and self._turn.has_begun
        return self._state is SessionState.LISTENING

    @property
    def buffered(self) -> float:
        """Seconds of audio in the current turn of a continuous session; 0 if there is none.

        The resampler may still hold a part of it back.
        """
        return max(0.0, self._received - self._turn.begin) if self._turn else 0.0

    @property
    def read_delay(self) -> float:
        """Read-coalescing delay in seconds: how long the transport may wait for more audio."""
        return self._turn.read_delay if self._turn else 0.0

    @property
    def settled_share(self) -> float:
        """Share of the last utterance's audio so far that no later decode needs, 0 to 1."""
        turns = [pending.turn for pending in self._answers]
        turn = self._turn or (turns[-1] if turns else None)
        return turn.settled / turn.seconds if turn is not None and turn.seconds else 0.0

    @property
    def answering(self) -> bool:
        """True while an answer is pending: being decoded, or not yet delivered."""
        return not all(pending.delivered.done() for pending in self._answers)

    async def answered(self) -> None:
        """Wait until no answer is pending."""
        while self._answers:
            await asyncio.wait([pending.task for pending in self._answers])

    def events(self) -> AsyncIterator[Event]:
        """Yield the events for the client, until the session has ended. Call it once.

        An event counts as delivered when the next one is requested.
        """
        return self._outbox.events()

    async def delivered(self) -> None:
        """Wait until all events so far have been delivered."""
        await self._outbox.emptied()

    def request(self, request: Request) -> None:
        """Set the request for the current utterance, or for the next one if there is none.

        In a continuous session also for all later ones. What it says about partial text and about
        what counts as speech then applies from the next turn on.
        """
        self._request = request
        if self._turn is not None:
            self._turn.request = request

    async def start(self, pcm: PcmFormat) -> None:
        """Begin an utterance. An utterance that has not ended is discarded.

        Args:
            pcm: format of the audio that will follow.
        """
        await self._throttle()
        self._start(pcm)

    async def audio(self, pcm: PcmFormat, data: bytes, *, chunks: int = 1) -> None:
        """Take more audio of the utterance; begin one if the session is idle.

        Audio after the end of the turn is dropped until stop(). An utterance that reaches its
        maximum length is answered. In a continuous session, such audio begins the next turn.

        Args:
            pcm: format of the data.
            data: PCM bytes.
            chunks: number of chunks of equal size in which the client sent them. Taking a few
                together costs much less than one by one.

        Raises:
            AudioError: the format is not supported, or changed too often.
            Busy: the memory for audio is used up.
        """
        if self._continuous:
            await self._continue(pcm, data)
            return
        await self._throttle()
        if self._state is SessionState.IDLE:
            self._start(pcm)
        step = _SLICE
        if self._turn is not None and chunks > 1:
            after = self._turn.seconds + _seconds(pcm, data)
            if after >= self._context.max_seconds:  # the chunk that reaches it is the last one
                step, chunks = len(data) // chunks, 1
        for at in range(0, len(data) or 1, step):
            if at:
                await asyncio.sleep(0)
            if self._turn is None:
                return
            turn = self._turn
            self._take(turn, pcm, data[at : at + step], chunks)
            await turn.caught_up()
            if self._turn is not None and self._turn.seconds >= self._context.max_seconds:
                await self._truncate(self._turn)

    async def stop(self) -> None:
        """End the utterance. Its answer follows as soon as it is ready.

        It first waits for pending answers, so a client that sends faster than the model decodes
        is throttled here.
        """
        if self._continuous:
            await self.settled()
        else:
            await self.answered()
        if self._state is SessionState.IDLE:
            self._start(PcmFormat())
        if self._turn is not None:
            self._end_turn(self._turn, EndReason.STOPPED)
        self._state = SessionState.IDLE

    def clear(self) -> float:
        """Discard the current utterance of a continuous session, if there is one.

        Returns:
            Seconds of the stream so far; the next utterance begins there.
        """
        self._discard_turn()
        self._heard = self._received  # with what the resampler had held back
        return self._heard

    async def settled(self) -> None:
        """Wait until a continuous session can take more audio, or a stop.

        By then all turns have ended that the server ends in the audio so far.
        """
        while True:
            await self._throttle()
            turn = self._turn
            if turn is not None:
                await turn.ready()
            if turn is not self._turn or len(self._answers) > 1:
                continue
            if turn is None or not self._is_full(turn):
                return
            self._turn_ended(turn, EndReason.FULL)

    def abort(self) -> None:
        """Discard an utterance that has not ended, then do what half_closed() does."""
        self._discard_turn()
        self.half_closed()

    def half_closed(self) -> None:
        """Handle a client that sends no more and may or may not still read.

        Answers that are still queued are cancelled. An answer whose decode the model has begun,
        or can begin at once, is still sent.
        """
        self._is_half_closed = True
        for pending in self._answers:
            pending.turn.client_left()
            if pending.turn.is_queued:
                pending.task.cancel()

    async def _throttle(self) -> None:
        """Wait while two answers are pending, so that a session holds at most two recordings.

        Two are pending if the server ended a turn before the previous answer was sent.
        """
        if len(self._answers) > 1:
            await self.answered()

    async def _truncate(self, turn: Turn) -> None:
        """End an utterance at its maximum length. Its remaining audio is ignored."""
        await self.answered()
        if turn is not self._turn:
            return  # it ended in the meantime
        _LOGGER.warning(
            "%s: the utterance reached the limit of %.0f s; answering now, dropping the rest",
            self._principal.name,
            self._context.max_seconds,
        )
        self._end_turn(turn, EndReason.FULL)

    async def _continue(self, pcm: PcmFormat, data: bytes) -> None:
        """Take audio of a continuous session, only as fast as the ends of turns are decided."""
        step = max(1, round(_STEP * pcm.rate)) * pcm.frame_bytes
        for at in range(0, len(data), step):
            if at:
                await asyncio.sleep(0)
            await self.settled()
            if self._turn is None:
                self._start(pcm)
            turn = self._turn
            assert turn is not None
            part = data[at : at + step]
            if not turn.has_begun:
                self._context.tenants.use.check_audio(self._principal.tenant)
            self._received += _seconds(pcm, part)
            self._take(turn, pcm, part)

    def _is_full(self, turn: Turn) -> bool:
        """Return whether a turn of a continuous session has its maximum length.

        It is cut at a pause, if there is one soon.
        """
        beyond = turn.seconds - self._context.max_seconds
        return beyond >= 0 and (not turn.speaking or beyond >= _LATE_PAUSE)

    def _take(self, turn: Turn, pcm: PcmFormat, data: bytes, chunks: int = 1) -> None:
        self._context.guard.check_audio()
        use = self._context.tenants.use
        use.charge_audio(self._principal.tenant, _seconds(pcm, data))
        turn.audio(pcm, data, chunks)

    def _start(self, pcm: PcmFormat) -> None:
        self._discard_turn()
        self._context.guard.check_new()
        self._identify()
        use, tenant = self._context.tenants.use, self._principal.tenant
        use.check_audio(tenant)
        # A stream counts as one request as long as it is open. Files are counted by the API.
        if self._continuous:
            if None not in self._ends:
                self._ends[None] = use.begin(tenant)
            self._expect_speech()
            self._begin_turn(pcm)
            return
        end = None if self._context.kind is DecodeKind.FILE else use.begin(tenant)
        self._expect_speech()
        turn = self._begin_turn(pcm)
        if end is not None:
            self._ends[turn] = end

    def _identify(self) -> None:
        """Find the tenant again: the operator may have changed it since the last turn."""
        self._principal = self._context.tenants.assign(self._principal)

    def _end_request(self, turn: Turn | None) -> None:
        if (end := self._ends.pop(turn, None)) is not None:
            end()

    def _close(self, turn: Turn) -> None:
        turn.close()
        self._end_request(turn)

    def _expect_speech(self) -> None:
        self._context.worker.reload(self._context.offer.model_of(self._request))
        if self._context.names is not None and self._principal.tenant.home_names:
            self._context.names.refresh()

    def _begin_turn(self, pcm: PcmFormat, rest: StreamRest | None = None) -> Turn:
        """Begin a turn.

        Args:
            rest: what follows the turn before in the same stream.
        """
        self._state = SessionState.LISTENING
        self._turn = turn = Turn(
            self._context,
            self._tasks,
            pcm,
            self._request,
            partials=self._request.partials or self._partials,
            warned=self._warned,
            notify=self._outbox.put,
            on_end=self._turn_ended,
            principal=self._principal,
            memory=self._memory,
            number=self._turns,
            begin=self._heard,
            paced=self._continuous,
        )
        self._turns += 1
        if rest is not None:
            turn.resume(rest)
        return turn

    def _discard_turn(self) -> None:
        turn, self._turn = self._turn, None
        self._state = SessionState.IDLE
        if turn is not None:
            if self._continuous:
                self._heard = turn.begin + turn.seconds
            self._close(turn)

    def _turn_ended(self, turn: Turn, why: EndReason) -> None:
        if turn is not self._turn:
            return  # it was stopped while the VAD processed its last audio
        if not self._continuous:
            self._end_turn(turn, why)
        elif turn.has_begun or turn.speech_announced:
            rest = turn.cut()
            self._await_answer(turn, why)
            self._identify()
            self._expect_speech()
            self._begin_turn(rest.pcm, rest)
        else:
            rest = turn.cut(keep=_KEPT)
            self._discard_turn()
            self._turns -= 1  # no event has named this turn
            self._begin_turn(rest.pcm, rest)

    def _end_turn(self, turn: Turn, why: EndReason) -> None:
        turn.stop()  # before the state changes: if it raises, abort() still frees the turn
        self._await_answer(turn, why)

    def _await_answer(self, turn: Turn, why: EndReason) -> None:
        self._turn = None
        self._state = SessionState.DRAINING
        if self._continuous:
            self._heard = turn.begin + turn.seconds
            self._outbox.put(TurnEnded(self._heard, turn.number))
        else:
            self._request = Request()
        before = [pending.task for pending in self._answers]
        delivered = asyncio.get_running_loop().create_future()
        task = self._tasks.create_task(self._answer(turn, why, before, delivered))
        pending = _Pending(turn, task, delivered)
        self._answers.append(pending)
        # A callback, not a finally clause: a task that is cancelled early never runs.
        task.add_done_callback(lambda _: self._answer_done(pending))

    async def _answer(
        self,
        turn: Turn,
        why: EndReason,
        before: list[asyncio.Task[None]],
        delivered: asyncio.Future[None],
    ) -> None:
        if before:
            await asyncio.wait(before)
        self._outbox.put(await self._outcome(turn, why), delivered)
        await delivered
        turn.answered()

    async def _outcome(self, turn: Turn, why: EndReason) -> Answer | AnswerFailed:
        """Return the answer of a turn.

        Raises:
            ServerError: the model failed, and the session is not continuous.
        """
        try:
            return await turn.answer(why)
        except ServerError as error:
            if not self._continuous:
                raise
            self._context.count_lost("failed")
            return AnswerFailed(error, turn.number)

    def _answer_done(self, pending: _Pending) -> None:
        self._answers.remove(pending)
        self._close(pending.turn)
        if pending.task.cancelled():
            self._context.count_lost("left")
        elif pending.task.exception() is not None:
            self._context.count_lost("failed")


def _seconds(pcm: PcmFormat, data: bytes) -> float:
    return len(data) / pcm.frame_bytes / pcm.rate
