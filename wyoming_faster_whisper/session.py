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
from functools import partial
from typing import Any, Protocol

import numpy as np

from .audio import SAMPLE_RATE, PcmFormat, PcmStream, Recording, Samples
from .engine.base import DecodeOptions, Job, Transcript
from .engine.worker import Worker
from .errors import AudioError, Busy, ServerError
from .request import Offer, Request
from .speech import utterance
from .speech.endpoint import WINDOW, Probabilities
from .speech.segment import Segment, SpeechRules
from .speech.utterance import Action, Decode, Drop, Utterance

_LOGGER = logging.getLogger(__name__)

_AT_ONCE = 8  # windows that the VAD judges in the event loop: 1 ms; more go to a thread
_SLICE = 512  # windows that it judges in a thread without a look at who else waits
_USUAL_SILENCE = 0.7  # seconds that Home Assistant waits; a slower decode is no use as a guess
_FORMAT_CHANGES = 8  # in one utterance; each costs a new resampler


class SpeechStream(Protocol):
    """One stream of audio, judged window by window; blocking."""

    def feed(self, samples: Samples) -> Probabilities: ...


class SpeechDetector(Protocol):
    """What a Session needs of the VAD."""

    def stream(self) -> SpeechStream: ...


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
    pause: float = 0.0  # seconds of silence after which to guess; 0 = never
    style: Callable[[str], str] = str  # the last word on the text
    max_seconds: float = 600.0  # of one utterance
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Answer:
    """The transcript of one utterance, and the request's context."""

    transcript: Transcript
    context: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Guess:
    """A decode that was begun at a pause."""

    job: Job
    text: asyncio.Task[Transcript | None]  # None: it failed


@dataclass(slots=True, eq=False)
class _Heard:
    """What has been heard of one utterance."""

    pcm: PcmFormat
    stream: PcmStream
    utterance: Utterance
    recording: Recording = field(default_factory=Recording)
    vad: SpeechStream | None = None  # until the model is there
    judged: int = 0  # samples that went through the VAD
    judging: asyncio.Task[None] | None = None  # what is too much for the event loop
    guesses: dict[Segment, _Guess] = field(default_factory=dict)
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
        self._heard: _Heard | None = None
        self._answering: asyncio.Task[None] | None = None
        self._job: Job | None = None
        self._left = False
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        seconds = self._heard.recording.seconds if self._heard else 0.0
        doing = "answering" if self.answering else "listening" if self.listening else "idle"
        return f"<Session {self._name}, {doing}, {seconds:.1f} s heard>"

    @property
    def listening(self) -> bool:
        """Inside an utterance."""
        return self._heard is not None

    @property
    def full(self) -> bool:
        """The longest utterance is reached: cut() it."""
        heard = self._heard
        return (
            heard is not None
            and not heard.cut
            and heard.recording.seconds >= self._shared.max_seconds
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
        self._shared.worker.wake()
        self._heard = self._begin(pcm)

    def hear(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound, in the format that it says it has.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        if self._heard is None:
            self.start(pcm)
        heard = self._heard
        assert heard is not None
        if heard.cut or self.full:
            return
        if pcm != heard.pcm:
            heard.changes += 1
            if heard.changes > _FORMAT_CHANGES:
                raise AudioError(
                    f"the format changed {heard.changes} times in one utterance; "
                    f"we take {_FORMAT_CHANGES}"
                )
            self._keep(heard, heard.stream.finish())
            heard.pcm, heard.stream = pcm, PcmStream(pcm)
        self._keep(heard, heard.stream.feed(data))
        self._judge(heard)

    def cut(self) -> None:
        """Answer what was heard of an utterance that is too long; its rest is drained."""
        heard = self._heard
        assert heard is not None
        _LOGGER.warning(
            "%s: %.0f s of audio is all we take; answering what was heard",
            self._name,
            self._shared.max_seconds,
        )
        self._answer(heard)
        self._heard = self._begin(heard.pcm)
        self._heard.cut = True

    def stop(self) -> None:
        """End the utterance: its answer is sent as soon as it is known."""
        heard = self._heard
        if heard is None:
            heard = self._begin(PcmFormat())
        if not heard.cut:
            self._answer(heard)
        self._heard = None  # the answer holds it now

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

    def _keep(self, heard: _Heard, samples: Samples) -> None:
        self._shared.memory.take(len(samples))
        heard.recording.append(samples)

    def _forget(self) -> None:
        heard, self._heard = self._heard, None
        if heard is not None:
            self._drop(heard)

    def _drop(self, heard: _Heard) -> None:
        """Give back all that an utterance holds."""
        self._shared.memory.give(len(heard.recording))
        if heard.judging is not None:
            heard.judging.cancel()
        for guess in heard.guesses.values():
            guess.text.cancel()

    def _begin(self, pcm: PcmFormat) -> _Heard:
        pause = round(self._shared.pause * SAMPLE_RATE / WINDOW)
        return _Heard(pcm, PcmStream(pcm), Utterance(self._shared.rules, pause=pause))

    # Listening: sound goes through the VAD as it comes.

    def _judge(self, heard: _Heard) -> None:
        if heard.judging is not None and not heard.judging.done():
            return  # it will come to this as well
        waiting = (len(heard.recording) - heard.judged) // WINDOW
        if not waiting:
            return
        if heard.vad is not None and waiting <= _AT_ONCE:
            samples = self._next_windows(heard, waiting)
            self._listen(heard, heard.vad.feed(samples()))
        else:
            heard.judging = self._tasks.create_task(self._judge_in_thread(heard))

    async def _judge_in_thread(self, heard: _Heard) -> None:
        vad = heard.vad
        if vad is None:
            vad = heard.vad = (await self._shared.vad()).stream()
        while waiting := (len(heard.recording) - heard.judged) // WINDOW:
            samples = self._next_windows(heard, min(waiting, _SLICE))
            probabilities = await asyncio.to_thread(_feed, vad, samples)
            self._listen(heard, probabilities)

    def _next_windows(self, heard: _Heard, count: int) -> Callable[[], Samples]:
        start = heard.judged
        heard.judged += count * WINDOW
        return partial(heard.recording.samples, start, heard.judged)

    def _listen(self, heard: _Heard, probabilities: Probabilities) -> None:
        worker = self._shared.worker
        # A guess must not make anybody wait, and must be ready when the silence is over.
        guess = worker.idle and worker.seconds <= _USUAL_SILENCE
        for action in heard.utterance.heard(probabilities.tolist(), guess=guess):
            self._perform(heard, action)

    def _perform(self, heard: _Heard, action: Action) -> None:
        match action:
            case Decode(segment=segment, guess=True):
                options = self._shared.offer.accept(self._request, self._name, self._warned)
                job = self._job_for(heard, segment, options, guess=True)
                task = self._tasks.create_task(self._guess(job))
                heard.guesses[segment] = _Guess(job, task)
            case Drop(segment=segment) if segment in heard.guesses:
                heard.guesses.pop(segment).text.cancel()

    async def _guess(self, job: Job) -> Transcript | None:
        try:
            return await self._shared.worker.submit(job)
        except ServerError as error:
            _LOGGER.debug("%s: a guess failed: %s", self._name, error)
            return None

    def _job_for(
        self, heard: _Heard, segment: Segment, options: DecodeOptions, *, guess: bool = False
    ) -> Job:
        samples = heard.recording.samples(segment.start, segment.end)
        return Job(samples, options, sure=segment.sure, guess=guess)

    # Answering: what is decoded already is taken, what is missing is decoded.

    def _answer(self, heard: _Heard) -> None:
        assert not self.answering
        self._keep(heard, heard.stream.finish())
        request, self._request = self._request, Request()
        self._answering = self._tasks.create_task(self._decode_and_send(heard, request))
        # A callback, because a task that is cancelled early never runs.
        self._answering.add_done_callback(lambda _: self._drop(heard))

    async def _decode_and_send(self, heard: _Heard, request: Request) -> None:
        transcript = await self._decode(heard, request)
        await self._send(Answer(transcript, request.context))

    async def _decode(self, heard: _Heard, request: Request) -> Transcript:
        worker = self._shared.worker
        wanted = options = self._shared.offer.accept(request, self._name, self._warned)
        texts: list[str] = []
        for segment in await self._segments(heard):
            guess = heard.guesses.get(segment)
            transcript: Transcript | None = None
            if guess is not None and guess.job.options == wanted and not worker.waits(guess.job):
                transcript = await guess.text
            if transcript is None:
                if self._left and not worker.idle:
                    raise asyncio.CancelledError  # others wait, and this may be for nobody
                self._job = self._job_for(heard, segment, options)
                try:
                    transcript = await worker.submit(self._job)
                finally:
                    self._job = None
            texts.append(transcript.text)
            # What was detected once holds for the rest.
            options = replace(options, language=transcript.language)
        text = " ".join(filter(None, texts))
        return Transcript(self._shared.style(text), options.language)

    async def _segments(self, heard: _Heard) -> tuple[Segment, ...]:
        """The end of the utterance: what its text is made of."""
        self._judge(heard)
        if heard.judging is not None:
            await heard.judging
        samples = len(heard.recording)
        if rest := samples - heard.judged:
            vad = heard.vad or (await self._shared.vad()).stream()
            last = np.pad(heard.recording.samples(heard.judged), (0, WINDOW - rest))
            self._listen(heard, vad.feed(last))
        parts: tuple[Segment, ...] = ()
        for action in heard.utterance.stop(samples):
            if isinstance(action, utterance.Answer):
                parts = action.segments
            else:
                self._perform(heard, action)
        return parts


def _feed(vad: SpeechStream, samples: Callable[[], Samples]) -> Probabilities:
    return vad.feed(samples())
