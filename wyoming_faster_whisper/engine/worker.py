"""The queue before the model, and the threads that use the model.

All state lives in the event loop: dispatch is one synchronous pass that moves
jobs from waiting to the threads, run after every arrival and every departure.
The threads only load, warm up and decode what they are handed, a batch at a
time each, so there is no lock.

A decode that does not end cannot be stopped. Its thread and its model are left
behind, and another model is loaded, once: two that hang are no accident.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf

from ..errors import Busy, EngineError, Hung, ServerError
from .base import Engine, Job, Transcript
from .scheduler import Waiting, next_batch

_LOGGER = logging.getLogger(__name__)

_COMMAND = 10.0  # seconds of sound; what is longer is none
_TIMES = 3  # one slow decode, with a second look or on a busy machine, is no slow engine

# To the threads of one engine: a batch to decode, or None to stop.
_Inbox = queue.SimpleQueue[list[Job] | None]


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What one asks about at night."""

    ready: bool  # the model is loaded
    waiting: int  # jobs in the queue
    decoding: int  # jobs in the model now
    decoded: int  # jobs answered since the start
    withdrawn: int  # jobs whose client went before they were decoded
    asleep: bool  # the model's weights are freed until somebody speaks
    batches: Mapping[int, int]  # that went to the model since the start, by jobs in them


class Worker:
    """Owns one Engine; decodes the jobs of everybody.

    Args:
        load: builds the engine; runs in the worker's thread, may take minutes.
        max_waiting: jobs that may wait; one more is refused with Busy.
        patience: seconds after which a decode is taken for one that never ends; 0 = never.
        unload_after: seconds without need after which the weights are freed; 0 = never.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        *,
        max_waiting: int = 64,
        patience: float = 0.0,
        unload_after: float = 0.0,
    ) -> None:
        self._load = load
        self._max_waiting = max_waiting
        self._patience = patience
        self._unload_after = unload_after
        self._loop = asyncio.get_running_loop()
        self._answers: dict[Job, asyncio.Future[Transcript]] = {}
        self._waiting: dict[Job, Waiting] = {}  # in order of arrival
        self._queued: dict[Job, float] = {}  # seconds that those waited that do no more
        self._decoding: list[list[Job]] = []
        self._deadlines: dict[int, asyncio.TimerHandle] = {}  # by id() of a batch
        self._abandoned = 0  # models that hung
        self._decoded = self._withdrawn = 0
        self._batches: Counter[int] = Counter()
        self._took: deque[float] = deque(maxlen=_TIMES)  # seconds, by decodes of commands
        self._inbox: _Inbox = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._ended: ServerError | None = None  # why there will be no more answers
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._needed = asyncio.Event()  # by somebody, since the model went to sleep
        self._sleep: asyncio.Task[None] | None = None
        self._bedtime: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        s = self.statistics()
        state = "ready" if s.ready else "loading"
        return f"<Worker {state}, {s.waiting} waiting, {s.decoding} decoding>"

    def statistics(self) -> WorkerStatistics:
        return WorkerStatistics(
            ready=self._engine is not None,
            waiting=len(self._waiting),
            decoding=sum(map(len, self._decoding)),
            decoded=self._decoded,
            withdrawn=self._withdrawn,
            asleep=self._asleep,
            batches=dict(self._batches),
        )

    def start(self) -> None:
        """Begin to load the model."""
        self._inbox = queue.SimpleQueue()
        threading.Thread(
            target=self._run, args=(self._inbox,), name="worker", daemon=True
        ).start()

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ServerError: it cannot be; there will never be an answer.
        """
        await asyncio.shield(self._ready)

    async def failed(self) -> None:
        """Wait until there will never be an answer again, which may be never.

        Raises:
            ServerError: always; it says why.
        """
        await asyncio.shield(self._failed)

    def wake(self) -> None:
        """Somebody begins to speak: load the model again while the audio arrives."""
        self._needed.set()
        self._stay_awake()

    async def submit(self, job: Job) -> Transcript:
        """Decode a job. Cancel the call to withdraw it.

        A job that has reached the model runs to its end there; its text is
        then ignored.

        Raises:
            Busy: too many jobs wait already.
            ServerError: the model failed on this job, or there is none.
        """
        if self._ended is not None:
            raise self._ended
        if len(self._waiting) >= self._max_waiting:
            raise Busy(f"{len(self._waiting)} jobs are waiting already; try again later")
        answer: asyncio.Future[Transcript] = self._loop.create_future()
        self._answers[job] = answer
        self._waiting[job] = Waiting(job, self._loop.time())
        self.wake()
        self._dispatch()
        try:
            return await answer
        finally:
            del self._answers[job]
            self._queued.pop(job, None)
            if self._waiting.pop(job, None):
                self._withdrawn += 1

    @property
    def seconds(self) -> float:
        """That a command took to decode lately; 0 before the first."""
        return statistics.median(self._took) if self._took else 0.0

    @property
    def ready_in(self) -> float:
        """Seconds after which a job that came now would be decoded, about; inf before loading."""
        if self._engine is None:
            return inf
        ahead = len(self._waiting) + len(self._decoding)
        return self.seconds * (1 + ahead // self._engine.parallel)

    @property
    def idle(self) -> bool:
        """A job that came now would be decoded at once."""
        free = self._engine is not None and len(self._decoding) < self._engine.parallel
        return free and not self._waiting

    def waits(self, job: Job) -> bool:
        """True while a job has not reached the model."""
        return job in self._waiting

    async def close(self) -> None:
        """Stop the threads after the batches they decode; fail whoever still waits.

        Does not wait for a batch that does not end: the threads are daemons.
        """
        self._inbox.put(None)
        for timer in (*self._deadlines.values(), self._bedtime):
            if timer is not None:
                timer.cancel()
        if self._sleep is not None:
            self._sleep.cancel()
        self._end(EngineError("the server is stopping"))

    def _end(self, error: ServerError) -> None:
        self._ended = error
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)

    def _dispatch(self) -> None:
        while self._engine is not None and len(self._decoding) < self._engine.parallel:
            engine = self._engine
            batch = next_batch(list(self._waiting.values()), engine.max_batch, engine.kind)
            if not batch:
                return
            for job in batch:
                self._queued[job] = self._loop.time() - self._waiting.pop(job).since
            self._decoding.append(batch)
            if self._patience:
                self._deadlines[id(batch)] = self._loop.call_later(self._patience, self._abandon)
            self._batches[len(batch)] += 1
            self._inbox.put(batch)

    def _loaded(self, engine: Engine) -> None:
        self._engine = engine
        if not self._ready.done():
            self._ready.set_result(None)
        self._stay_awake()
        self._dispatch()

    def _not_loaded(self, error: ServerError) -> None:
        self._end(error)
        if not self._ready.done():
            self._ready.set_exception(error)
        if not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # seen, though nobody may wait for it

    def _finished(
        self, batch: list[Job], result: list[Transcript] | EngineError, seconds: float
    ) -> None:
        if batch not in self._decoding:
            return  # it was given up
        self._decoding.remove(batch)
        # The parts of a dictation take longer, and say nothing about commands.
        if max(job.seconds for job in batch) <= _COMMAND:
            self._took.append(seconds)
        self._settle(batch, result)
        self._stay_awake()
        self._dispatch()

    def _settle(self, batch: list[Job], result: list[Transcript] | EngineError) -> None:
        if (deadline := self._deadlines.pop(id(batch), None)) is not None:
            deadline.cancel()
        for at, job in enumerate(batch):
            answer = self._answers.get(job)
            if answer is None or answer.done():
                continue  # withdrawn while it was decoded
            if isinstance(result, EngineError):
                answer.set_exception(result)
            else:
                self._decoded += 1
                answer.set_result(replace(result[at], queued=self._queued[job]))

    def _abandon(self) -> None:
        """A decode does not end: leave the model behind, and all that it decodes."""
        self._abandoned += 1
        self._engine = None
        self._inbox.put(None)  # for threads that are not in it
        lost, self._decoding = self._decoding, []
        error = Hung(f"the model did not answer within {self._patience:g} s")
        for batch in lost:
            self._settle(batch, error)
        if self._abandoned > 1:
            self._not_loaded(
                EngineError(
                    f"{error}, for the second time; if this machine is that slow, give "
                    "--decode-timeout more, or a smaller --model"
                )
            )
            return
        _LOGGER.error("%s; it is abandoned with %d job(s), another is loaded", error, len(lost))
        self.start()

    # Sleep: the weights are freed while nobody needs them.

    @property
    def _asleep(self) -> bool:
        return self._sleep is not None and not self._sleep.done()

    def _stay_awake(self) -> None:
        if self._bedtime is not None:
            self._bedtime.cancel()
        if self._unload_after:
            self._bedtime = self._loop.call_later(self._unload_after, self._fall_asleep)

    def _fall_asleep(self) -> None:
        if self._engine is not None and not self._waiting and not self._decoding:
            self._needed.clear()
            engine, self._engine = self._engine, None
            self._sleep = self._loop.create_task(self._unload_and_load(engine))

    async def _unload_and_load(self, engine: Engine) -> None:
        """Free the weights, and load them again once somebody speaks."""
        try:
            await asyncio.to_thread(engine.unload)
            _LOGGER.info("Nobody spoke for %g s: the model is unloaded", self._unload_after)
            await self._needed.wait()
            started = time.monotonic()
            await asyncio.to_thread(engine.load)
        except Exception as error:
            self._not_loaded(_as_server_error(error))
            return
        _LOGGER.info("The model is loaded again (%.1f s)", time.monotonic() - started)
        self._loaded(engine)

    # From here on: the threads.

    def _run(self, inbox: _Inbox) -> None:
        try:
            engine = self._load()
        except Exception as error:
            self._tell(self._not_loaded, _as_server_error(error))
            return
        # Somebody who waits already warms the model up as well as we could.
        if not self._waiting:
            started = time.monotonic()
            try:
                engine.warm_up(lambda: bool(self._waiting))
            except Exception:
                _LOGGER.warning("the model failed to warm up", exc_info=True)
            _LOGGER.debug("warm-up took %.2f s", time.monotonic() - started)
        self._tell(self._loaded, engine)
        for number in range(2, engine.parallel + 1):
            threading.Thread(
                target=self._serve, args=(engine, inbox), name=f"worker-{number}", daemon=True
            ).start()
        self._serve(engine, inbox)

    def _serve(self, engine: Engine, inbox: _Inbox) -> None:
        while (batch := inbox.get()) is not None:
            started = self._loop.time()
            result = _decode(engine, batch)
            self._tell(self._finished, batch, result, self._loop.time() - started)
        inbox.put(None)  # for the next thread

    def _tell(self, method: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(method, *args)
        except RuntimeError:  # the loop has closed: nobody is left to tell
            _LOGGER.debug("the loop closed while the model was busy")


def _as_server_error(error: Exception) -> ServerError:
    """Why there is no model."""
    if isinstance(error, ServerError):
        return error
    _LOGGER.debug("loading the model", exc_info=error)
    return EngineError(f"the model does not load: {error}")


def _decode(engine: Engine, batch: list[Job]) -> list[Transcript] | EngineError:
    try:
        return engine.decode(batch)
    except EngineError as error:
        return error
    except Exception as error:
        _LOGGER.exception("the model failed on %d job(s)", len(batch))
        return EngineError(f"the model failed on this audio: {type(error).__name__}")
