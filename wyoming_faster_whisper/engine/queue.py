"""Queue in front of the model: admission, dispatch and withdrawal of jobs.

All state belongs to the event loop. Dispatch is one synchronous pass that moves jobs from the
queue to the model; it runs after every arrival and every departure. scheduler.py chooses the
jobs, and lifecycle.py owns the model.
"""

from __future__ import annotations

import asyncio
import math
import statistics
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..errors import Busy, ServerError, counted
from ..tenant import has_room
from .lifecycle import ModelState
from .pool import Pool, Version
from .protocol import LONGEST_COMMAND, DecodeKind, Engine, Job, Transcript
from .recognizer import Loader
from .scheduler import Decoders, Shares, Waiting, next_batch, overdue_at
from .speakers import Speakers
from .timing import Timing

_NO_TIMEOUTS = Timing()
# Number of decodes in the median. A single slow decode, with a second pass or on a busy machine,
# must not make the engine look slow.
_RECENT_DECODES = 3
# Long jobs may use all decoders if no speaker is expected and a long job usually takes at most
# _SHORT seconds: then a decoder is usually free when a command that begins meanwhile has been
# spoken. Set by hand on 2026-11-30: the table of files in other languages in docs/performance.md
# shows what 2 s cost, docs/performance-notes.md has a small trial of commands. While a client
# speaks, a long job may begin if it usually takes at most _BRIEF seconds, as on a GPU: the
# speaker does not notice.
_SHORT = 4.0
_BRIEF = 0.2


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """Snapshot of a worker's state and counters."""

    state: ModelState  # READY if any model is, else that of the default model
    models: Mapping[str, ModelState]  # by name, the default first
    waiting: int  # jobs in the queue
    decoding: int  # jobs that are being decoded
    decoded: int  # jobs answered since the start
    withdrawn: int  # jobs cancelled before they reached the model
    batches: Mapping[int, int]  # batches sent to the model since the start, by number of jobs
    max_batch: int  # maximum number of commands per batch; 0 while no model is loaded
    max_long_batch: int  # the same for jobs of long recordings

    @property
    def ready(self) -> bool:
        """True while a model is loaded."""
        return self.state is ModelState.READY

    @property
    def unloaded(self) -> bool:
        """True while the model's weights are freed, until the next speech."""
        return self.state is ModelState.UNLOADED


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Jobs that are decoded together."""

    version: Version  # of the model
    jobs: list[Job]


class Worker:
    """Queue and model together: decodes the jobs of all clients.

    Create it, and call its methods, in the event loop.

    Args:
        load: builds the engine of all models, or the loader of each model by its name, the
            default first. They run in threads and may take minutes.
        timing: when the model counts as hung, is unloaded, and is measured again.
        max_waiting: number of commands, and of background jobs, that may wait; further ones are
            refused with Busy. Tenants share it, see has_room().
        on_begun: called when a job leaves the queue for the model, with its kind and the seconds
            that it waited.
        on_decoded: called after the decode of each batch, with its kind and the seconds that it
            took in the model.
    """

    def __init__(
        self,
        load: Callable[[], Engine] | Mapping[str, Loader],
        timing: Timing = _NO_TIMEOUTS,
        *,
        max_waiting: int = 64,
        on_begun: Callable[[DecodeKind, float], None] = lambda *_: None,
        on_decoded: Callable[[DecodeKind, float], None] = lambda *_: None,
    ) -> None:
        self._on_begun = on_begun
        self._on_decoded = on_decoded
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._answers: dict[Job, asyncio.Future[Transcript]] = {}
        self._waiting: dict[Job, Waiting] = {}  # in order of arrival
        self._queued: dict[Job, float] = {}  # seconds in the queue, of jobs that left it
        self._versions: dict[Job, Version] = {}  # of the models, for the jobs without an answer
        self._decoding: list[_Batch] = []
        self._shares = Shares()
        self._last_background = float("-inf")  # time at which the last background job began
        self._speakers = Speakers()
        self._timer: asyncio.TimerHandle | None = None  # when jobs that wait for speakers begin
        self._decoded = self._withdrawn = 0
        self._batches: Counter[int] = Counter()
        # Seconds, of the last commands.
        self._decode_seconds: deque[float] = deque(maxlen=_RECENT_DECODES)
        self._long_seconds: deque[float] = deque(maxlen=_RECENT_DECODES)  # of longer jobs
        self._models = Pool(
            load if isinstance(load, Mapping) else {"": Loader(load)},
            timing,
            busy=self._is_busy,
            on_ready=self._dispatch,
            on_error=self._fail,
        )

    def __repr__(self) -> str:
        s = self.statistics()
        return f"<Worker {s.state.value}, {s.waiting} waiting, {s.decoding} decoding>"

    def statistics(self) -> WorkerStatistics:
        states = self._models.states
        ready = ModelState.READY in states.values()
        engines = self._models.engines
        return WorkerStatistics(
            state=ModelState.READY if ready else next(iter(states.values())),
            models=states,
            waiting=len(self._waiting),
            decoding=self.decoding,
            decoded=self._decoded,
            withdrawn=self._withdrawn,
            batches=dict(self._batches),
            max_batch=max((engine.max_batch for engine in engines), default=0),
            max_long_batch=max((engine.max_long_batch for engine in engines), default=0),
        )

    def start(self) -> None:
        """Start to load the default model in a thread."""
        self._models.start()

    async def ready(self) -> None:
        """Wait until the default model is loaded, or another one if that cannot be loaded.

        Raises:
            ServerError: no model can be loaded, and no job will be answered.
        """
        await self._models.ready()

    async def failed(self) -> None:
        """Wait until all models are lost for good and no more jobs are answered.

        Raises:
            ServerError: always; the reason of the failure.
        """
        await self._models.failed()

    def reload(self, model: str = "") -> None:
        """Load a model that is not loaded. Call this when speech starts, while audio arrives.

        Args:
            model: its name; "" = the default model.
        """
        self._models.use(model)

    async def submit(self, job: Job) -> Transcript:
        """Decode a job. Cancel the call to withdraw it.

        A job that has already reached the model is decoded to its end, unless the engine can
        end it, and its text is discarded.

        Raises:
            Busy: the queue is full.
            ServerError: the model failed on this job, or there is no usable model.
        """
        version = self._models.version_of(job)
        if version.lifecycle.error is not None:
            raise version.lifecycle.error
        self._check_room(job)
        answer: asyncio.Future[Transcript] = self._loop.create_future()
        self._answers[job] = answer
        self._waiting[job] = Waiting(job, self._loop.time())
        self._versions[job] = version
        self.reload(job.options.model)
        self._dispatch()
        try:
            return await answer
        finally:
            del self._answers[job], self._versions[job]
            self._queued.pop(job, None)
            if self._waiting.pop(job, None):
                self._withdrawn += 1
            elif answer.cancelled():
                version.lifecycle.withdraw(job)

    def _check_room(self, job: Job) -> None:
        # Counted separately, so that files and dictations never keep a command out.
        waiting = [other for other in self._waiting if other.background == job.background]
        own = sum(other.tenant.name == job.tenant.name for other in waiting)
        if not has_room(own, len(waiting), self._max_waiting, job.tenant):
            raise Busy(f"the queue is full ({counted(own, 'job')}); try again later")

    @property
    def parallel(self) -> int:
        """Number of decodes that run at the same time; 1 until a model is loaded."""
        return max((engine.parallel for engine in self._models.engines), default=1)

    def command_expected(self, turn: Hashable) -> None:
        """Keep a decoder free of long jobs: a turn has begun. Call command_over() later."""
        self._speakers.begin(turn)

    def command_spoken(self, turn: Hashable) -> None:
        """Begin no part of a file for now: speech has begun in a turn, or is about to."""
        self._speakers.speak(turn, self._loop.time())

    def command_over(self, turn: Hashable) -> None:
        """Take note that a speaker has been answered or has left."""
        self._speakers.end(turn, self._loop.time())
        self._dispatch()

    @property
    def decoding(self) -> int:
        """Number of jobs in the model."""
        return sum(len(batch.jobs) for batch in self._decoding)

    @property
    def decode_seconds(self) -> float:
        """Median time of the last few decodes of commands, in seconds; 0 before the first."""
        return statistics.median(self._decode_seconds) if self._decode_seconds else 0.0

    @property
    def idle(self) -> bool:
        """True if a command submitted now for a loaded model would be decoded at once."""
        return self._has_room and all(job.background for job in self._waiting)

    def can_begin(self, job: Job) -> bool:
        """Return True if this job, submitted now, would be decoded at once."""
        if not self._has_room or not job.background:
            return self.idle
        now = self._loop.time()
        alone = [Waiting(job, now)]
        begun = next_batch(alone, self._decoders(now), self._shares, lambda _: None, now)
        return bool(begun) and not self._waiting

    def is_waiting(self, job: Job) -> bool:
        """Return True while the job is in the queue and has not reached the model."""
        return job in self._waiting

    async def close(self) -> None:
        """Stop the threads after their current batches; fail all unanswered jobs.

        It does not wait for the threads. They are daemons, so a hung batch does not keep the
        process alive.
        """
        self._models.close()
        self._set_timer(None)

    @property
    def _has_room(self) -> bool:
        """True if one more batch can be decoded now. The models share the machine."""
        return bool(self._models.engines) and len(self._decoding) < self.parallel

    def _can_begin(self, version: Version) -> bool:
        """Return whether a version of a model can decode one more batch now."""
        engine = version.lifecycle.engine
        running = sum(batch.version is version for batch in self._decoding)
        return engine is not None and running < engine.parallel

    def _is_busy(self, version: Version | None) -> bool:
        """Return whether a job waits or is decoded; None = for any version of any model."""
        if version is None:
            return bool(self._waiting or self._decoding)
        decoding = any(batch.version is version for batch in self._decoding)
        return decoding or any(self._versions[job] is version for job in self._waiting)

    def _decoders(self, now: float) -> Decoders:
        takes = statistics.median(self._long_seconds) if self._long_seconds else math.inf
        expected = self._speakers.expected(now)
        speaking = now < self._speakers.until and takes > _BRIEF
        return Decoders(
            self.parallel,
            max(engine.max_batch for engine in self._models.engines),
            max(engine.max_long_batch for engine in self._models.engines),
            long=sum(batch.jobs[0].long for batch in self._decoding),
            last_background=self._last_background,
            reserved=expected or takes > _SHORT,
            expected=expected,
            commands=speaking or any(not batch.jobs[0].background for batch in self._decoding),
        )

    def _dispatch(self) -> None:
        self._set_timer(None)
        while self._has_room:
            now = self._loop.time()
            decoders = self._decoders(now)
            waiting = [
                one for job, one in self._waiting.items() if self._can_begin(self._versions[job])
            ]
            jobs = next_batch(waiting, decoders, self._shares, self._batch_key, now)
            if not jobs:
                if waiting and now < self._speakers.until:
                    self._set_timer(min(self._speakers.until, overdue_at(waiting, decoders)))
                return
            version = self._versions[jobs[0]]
            engine = version.lifecycle.engine
            assert engine is not None  # _can_begin()
            most = engine.max_long_batch if jobs[0].long else engine.max_batch
            batch = _Batch(version, jobs[:most])
            for job in batch.jobs:
                self._queued[job] = now - self._waiting.pop(job).since
                self._on_begun(job.kind, self._queued[job])
            self._shares.begin(batch.jobs)
            if batch.jobs[0].background:
                self._last_background = now
            self._decoding.append(batch)
            self._batches[len(batch.jobs)] += 1
            version.lifecycle.decode(batch.jobs, partial(self._finished, batch))

    def _set_timer(self, when: float | None) -> None:
        """Dispatch again at a time, on the event loop's clock; None = not by itself."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._loop.call_at(when, self._dispatch)

    def _batch_key(self, job: Job) -> Hashable:
        """Return what the jobs of a batch share: the version of the model, and its own key."""
        version = self._versions[job]
        assert version.lifecycle.engine is not None  # _can_begin()
        return id(version), version.lifecycle.engine.batch_key(job)

    def _finished(
        self, done: _Batch, result: list[Transcript] | ServerError, seconds: float | None
    ) -> None:
        batch = done.jobs
        self._decoding.remove(done)
        self._settle(batch, result)
        if seconds is None:
            return  # the model hangs or is closed
        # Guesses and partial texts may share a batch; the first job is the most urgent one.
        self._on_decoded(batch[0].kind, seconds)
        if not isinstance(result, ServerError):  # else it may have been withdrawn
            # The segments of a dictation take longer and say nothing about commands.
            short = max(job.seconds for job in batch) <= LONGEST_COMMAND
            (self._decode_seconds if short else self._long_seconds).append(seconds)
        self._models.use(batch[0].options.model)
        self._dispatch()

    def _settle(self, batch: list[Job], result: list[Transcript] | ServerError) -> None:
        for at, job in enumerate(batch):
            answer = self._answers.get(job)
            if answer is None or answer.done():
                continue  # withdrawn while it was decoded
            if isinstance(result, ServerError):
                answer.set_exception(result)
            else:
                self._decoded += 1
                answer.set_result(replace(result[at], queued=self._queued[job]))

    def _fail(self, version: Version, error: ServerError) -> None:
        """Fail the jobs that wait for a version of a model."""
        for job, answer in self._answers.items():
            if self._versions[job] is version and not answer.done():
                answer.set_exception(error)
