"""One client's stream of speech, whichever transport carries it.

A transport tells its Session what arrived (request, start, hear, stop) and is
told the answers through send(). Calls return at once; what takes time runs in
the transport's TaskGroup, so that it ends with the client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .audio import PcmFormat, PcmStream, Recording, Samples
from .engine.base import Job, Transcript
from .engine.worker import Worker
from .errors import AudioError, Busy
from .request import Offer, Request
from .speech.endpoint import Probabilities
from .speech.segment import Segment, SpeechRules, segments

_LOGGER = logging.getLogger(__name__)

_FORMAT_CHANGES = 8  # in one utterance; each costs a new resampler


class SpeechDetector(Protocol):
    """What a Session needs of the VAD."""

    def probabilities(self, samples: Samples) -> Probabilities: ...


@dataclass(slots=True)
class Memory:
    """How much sound all sessions together may hold."""

    limit: int = 1_000_000_000  # bytes; 250 clients with two minutes each
    held: int = 0

    def take(self, samples: int) -> None:
        """Make room for more samples; give it back when they are dropped.

        Raises:
            Busy: there is none.
        """
        if self.held + 2 * samples > self.limit:
            raise Busy(f"{self.held} bytes of audio are waiting already; try again later")
        self.held += 2 * samples

    def give(self, samples: int) -> None:
        self.held -= 2 * samples


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions have in common."""

    worker: Worker
    vad: Callable[[], Awaitable[SpeechDetector]]  # may have to wait for the model
    offer: Offer  # models and options to choose from
    rules: SpeechRules = field(default_factory=SpeechRules)
    style: Callable[[str], str] = str  # the last word on the text
    max_seconds: float = 600.0  # of one utterance
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Answer:
    """The transcript of one utterance, and the request's context."""

    transcript: Transcript
    context: dict[str, Any] | None = None


@dataclass(slots=True)
class _Utterance:
    """What has been heard of one utterance."""

    pcm: PcmFormat
    stream: PcmStream
    recording: Recording
    changes: int = 0  # of the format
    cut: bool = False  # what was heard is answered; the rest is drained


class Session:
    """One client's utterances, one after the other.

    There is one answer at a time: wait for answered() before cut() and stop().
    So a session holds two recordings at most, one answered and one growing.

    Args:
        tasks: decodes run in it; a ServerError that leaves it is for the client.
        send: hands an answer to the client.
    """

    def __init__(
        self,
        shared: Shared,
        tasks: asyncio.TaskGroup,
        send: Callable[[Answer], Awaitable[None]],
        *,
        name: str = "client",
    ) -> None:
        self._shared = shared
        self._tasks = tasks
        self._send = send
        self._name = name
        self._request = Request()
        self._utterance: _Utterance | None = None
        self._answering: asyncio.Task[None] | None = None
        self._job: Job | None = None
        self._left = False
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        seconds = self._utterance.recording.seconds if self._utterance else 0.0
        doing = "answering" if self.answering else "listening" if self.listening else "idle"
        return f"<Session {self._name}, {doing}, {seconds:.1f} s heard>"

    @property
    def listening(self) -> bool:
        """Inside an utterance."""
        return self._utterance is not None

    @property
    def full(self) -> bool:
        """The longest utterance is reached: cut() it."""
        utterance = self._utterance
        return (
            utterance is not None
            and not utterance.cut
            and utterance.recording.seconds >= self._shared.max_seconds
        )

    @property
    def answering(self) -> bool:
        """An answer is on its way."""
        return self._answering is not None and not self._answering.done()

    async def answered(self) -> None:
        """Wait until the answer that is on its way has gone out."""
        if self._answering is not None:
            await asyncio.wait([self._answering])

    def request(self, request: Request) -> None:
        """Say how the utterance that runs, or else the next, is to be decoded."""
        self._request = request

    def start(self, pcm: PcmFormat) -> None:
        """Begin an utterance; one that had not ended is forgotten."""
        self._forget()
        self._utterance = _Utterance(pcm, PcmStream(pcm), Recording())

    def hear(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound, in the format that it says it has.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        if self._utterance is None:
            self.start(pcm)
        utterance = self._utterance
        assert utterance is not None
        if utterance.cut or self.full:
            return
        if pcm != utterance.pcm:
            utterance.changes += 1
            if utterance.changes > _FORMAT_CHANGES:
                raise AudioError(
                    f"the format changed {utterance.changes} times in one utterance; "
                    f"we take {_FORMAT_CHANGES}"
                )
            self._keep(utterance, utterance.stream.finish())
            utterance.pcm, utterance.stream = pcm, PcmStream(pcm)
        self._keep(utterance, utterance.stream.feed(data))

    def cut(self) -> None:
        """Answer what was heard of an utterance that is too long; its rest is drained."""
        utterance = self._utterance
        assert utterance is not None
        _LOGGER.warning(
            "%s: %.0f s of audio is all we take; answering what was heard",
            self._name,
            self._shared.max_seconds,
        )
        self._answer(utterance)
        utterance.cut, utterance.recording = True, Recording()

    def stop(self) -> None:
        """End the utterance: its answer is sent as soon as it is known."""
        utterance = self._utterance
        if utterance is None:
            utterance = _Utterance(PcmFormat(), PcmStream(PcmFormat()), Recording())
        if not utterance.cut:
            self._answer(utterance)
        self._utterance = None  # the answer holds the recording now

    def leave(self) -> None:
        """The client has gone: withdraw what has not reached the model yet."""
        self._left = True
        self._forget()
        if self._answering is None:
            return
        # A client may only have closed its half, and still read: what the model has begun,
        # or can begin at once, is answered.
        worker = self._shared.worker
        if worker.waits(self._job) if self._job is not None else not worker.idle:
            self._answering.cancel()

    def _keep(self, utterance: _Utterance, samples: Samples) -> None:
        self._shared.memory.take(len(samples))
        utterance.recording.append(samples)

    def _forget(self) -> None:
        if self._utterance is not None:
            self._shared.memory.give(len(self._utterance.recording))
        self._utterance = None

    def _answer(self, utterance: _Utterance) -> None:
        assert not self.answering
        self._keep(utterance, utterance.stream.finish())
        request, self._request = self._request, Request()
        recording = utterance.recording
        self._answering = self._tasks.create_task(self._decode_and_send(recording, request))
        # A callback, because a task that is cancelled early never runs.
        self._answering.add_done_callback(lambda _: self._shared.memory.give(len(recording)))

    async def _decode_and_send(self, recording: Recording, request: Request) -> None:
        transcript = await self._decode(recording, request)
        await self._send(Answer(transcript, request.context))

    async def _decode(self, recording: Recording, request: Request) -> Transcript:
        worker = self._shared.worker
        options = self._shared.offer.accept(request, self._name, self._warned)
        texts: list[str] = []
        for segment in await self._segments(recording):
            if self._left and not worker.idle:
                raise asyncio.CancelledError  # others wait, and this may be for nobody
            self._job = Job(
                recording.samples(segment.start, segment.end), options, sure=segment.sure
            )
            try:
                transcript = await worker.submit(self._job)
            finally:
                self._job = None
            texts.append(transcript.text)
            # What was detected once holds for the rest.
            options = replace(options, language=transcript.language)
        text = " ".join(filter(None, texts))
        return Transcript(self._shared.style(text), options.language)

    async def _segments(self, recording: Recording) -> list[Segment]:
        vad = await self._shared.vad()
        probabilities = await asyncio.to_thread(lambda: vad.probabilities(recording.samples()))
        return segments(probabilities.tolist(), self._shared.rules, len(recording))
