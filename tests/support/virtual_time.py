"""Sessions in virtual time: hours of audio in a second.

The clock of the event loop jumps to the next timer as soon as no task is ready. The duration of
a decode is a timer on the same clock, although the decode runs in the worker's thread.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, Capabilities, ServedModel
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.session.events import Answer, Event
from wyoming_faster_whisper.session.record import UtteranceRecord
from wyoming_faster_whisper.session.request import Offer, Request
from wyoming_faster_whisper.session.session import Session, SessionContext
from wyoming_faster_whisper.testing import FakeEngine, LoudnessVad, pcm16

T = TypeVar("T")
PCM = PcmFormat()
CLIENT = Principal("127.0.0.1", "client")
CHUNK = 320  # bytes, 10 ms: the chunk size of Home Assistant


class _Selector(selectors.DefaultSelector):
    """Selector that advances the virtual clock instead of waiting."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        loop = self.loop
        ready = super().select(0)
        if timeout == 0:
            return ready
        while not ready and (timeout is None or loop.decoding() > loop.asleep):
            ready = super().select(1.0)  # the worker thread is about to call back
        if not ready:
            loop.now += timeout or 0.0
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a virtual clock."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        self.asleep = 0  # decodes that wait for a timer of this loop
        self.decoding: Callable[[], int] = lambda: 0
        self.thread_seconds = 0.0  # duration of each call in a thread but for decodes
        self.thread_calls = 0  # calls in a thread so far, but for decodes
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def timers(self) -> int:
        """Return the number of timers that have not fired."""
        scheduled = self._scheduled  # type: ignore[attr-defined]
        return sum(not timer.cancelled() for timer in scheduled)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run the function at once in this thread; other threads do not follow this clock.

        Its result comes after thread_seconds, in which the event loop goes on.
        """
        self.thread_calls += 1
        done: asyncio.Future[T] = self.create_future()
        result = func(*args)
        if self.thread_seconds:
            self.call_later(self.thread_seconds, self._deliver, done, result)
        else:
            done.set_result(result)
        return done

    @staticmethod
    def _deliver(done: asyncio.Future[T], result: T) -> None:
        if not done.cancelled():
            done.set_result(result)


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(test)
    finally:
        loop.close()


def advance(seconds: float) -> None:
    """Advance the running loop's clock without running the loop, as a blocking call would."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.now += seconds


class SlowEngine(FakeEngine):
    """Fake engine whose decodes take virtual time.

    Args:
        seconds: returns the duration of the decode of a job.
        say: returns the transcript of a job.
    """

    def __init__(
        self,
        seconds: Callable[[Job], float],
        say: Callable[[Job], Transcript] = lambda job: Transcript(f"{job.seconds:.1f} seconds"),
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        super().__init__()
        self._loop = loop
        self._seconds = seconds
        self._transcribe = say

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        (job,) = jobs
        awake = threading.Event()
        self._loop.call_soon_threadsafe(self._sleep, self._seconds(job), awake)
        awake.wait()
        self.decoded.append(job)
        return [self._transcribe(job)]

    def _sleep(self, seconds: float, awake: threading.Event) -> None:
        self._loop.asleep += 1
        self._loop.call_later(seconds, self._wake, awake)

    def _wake(self, awake: threading.Event) -> None:
        self._loop.asleep -= 1
        awake.set()


@dataclass
class Said:
    """What the session sent to its client; times in seconds of the virtual clock."""

    answers: list[tuple[float, Answer]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)  # without the answers
    records: list[UtteranceRecord] = field(default_factory=list)

    async def hear(self, session: Session) -> None:
        """Take the events of a session until it ends."""
        async for event in session.events():
            if isinstance(event, Answer):
                self.answers.append((asyncio.get_running_loop().time(), event))
            else:
                self.events.append(event)

    @property
    def text(self) -> str:
        ((_, answer),) = self.answers
        return answer.transcript.text


class House:
    """A worker and its sessions in virtual time; usable only inside run().

    Args:
        seconds: returns the duration of the decode of a job.
        say: returns the transcript of a job; by default its length.
        language: decode language; None = detect it.
        capabilities: of the model.
        shared: fields of SessionContext.
    """

    def __init__(
        self,
        seconds: Callable[[Job], float] = lambda _: 0.2,
        *,
        say: Callable[[Job], Transcript] | None = None,
        language: str | None = "en",
        capabilities: Capabilities = EVERYTHING,
        **shared: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.engine = SlowEngine(seconds, say) if say else SlowEngine(seconds)
        self.worker = Worker(lambda: self.engine)
        self.shared = shared
        self.offer = Offer(
            [ServedModel("base", ("de", "en"), capabilities=capabilities)],
            DecodeOptions(language=language),
        )

    async def __aenter__(self) -> House:
        self.worker.start()
        await self.worker.ready()
        self.loop.decoding = lambda: self.worker.decoding
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.close()

    def context(self, **shared: Any) -> SessionContext:
        """Return what sessions share, with a VAD that goes by loudness.

        Args:
            shared: other fields of SessionContext.
        """
        return SessionContext(
            **{"worker": self.worker, "vad": _loudness_vad, "offer": self.offer, **shared}
        )

    async def listen(
        self,
        samples: Samples,
        *,
        begin: float = 0.0,
        requests: Sequence[tuple[float, Request]] = ((0.0, Request()),),
        chunk: int = CHUNK,
        together: int = 1,
        pace: float = 1.0,
        continuous: bool = False,
        pcm: PcmFormat = PCM,
    ) -> Said:
        """Play a recording to a new session and wait for the answer, or all answers.

        Args:
            begin: seconds from now.
            requests: each with its position in the recording, in seconds.
            chunk: bytes per audio chunk.
            together: chunks that the transport reads together.
            pace: seconds per second of audio; 0 = all at once.
            continuous: whether the session is continuous.
            pcm: 16-bit format of the samples.
        """
        said = Said()

        shared = self.context(observe=said.records.append, **self.shared)
        await asyncio.sleep(begin)
        data, started = pcm16(samples), self.loop.time()
        waiting = list(requests)
        second = pcm.rate * pcm.frame_bytes
        async with (
            asyncio.TaskGroup() as tasks,
            Session(shared, CLIENT, continuous=continuous) as session,
        ):
            tasks.create_task(said.hear(session))
            session.request(waiting[0][1])
            await session.start(pcm)
            for at in range(0, len(data), chunk * together):
                while waiting and waiting[0][0] * second <= at:
                    session.request(waiting.pop(0)[1])
                # A microphone delivers a chunk when its last sample is recorded.
                part = data[at : at + chunk * together]
                due = started + pace * (at + len(part)) / second
                await asyncio.sleep(max(0.0, due - self.loop.time()))
                await session.audio(pcm, part, chunks=-(-len(part) // chunk))
            await session.stop()
            await session.answered()
        return said


async def _loudness_vad() -> LoudnessVad:
    return LoudnessVad()


def joined(*parts: Samples) -> Samples:
    whole: Samples = np.concatenate(parts)
    return whole
