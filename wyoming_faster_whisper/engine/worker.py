"""The queue before the model, and the threads that use the model.

All state lives in the event loop: dispatch is one synchronous pass that moves
jobs from waiting to the threads, run after every arrival and every departure.
The threads only load, warm up and decode what they are handed, a batch at a
time each, so there is no lock.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from ..errors import Busy, EngineError, ServerError
from .base import Engine, Job, Transcript
from .scheduler import Waiting, next_batch

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """What one asks about at night."""

    ready: bool  # the model is loaded
    waiting: int  # jobs in the queue
    decoding: int  # jobs in the model now
    decoded: int  # jobs answered since the start
    withdrawn: int  # jobs whose client went before they were decoded


class Worker:
    """Owns one Engine; decodes the jobs of everybody.

    Args:
        load: builds the engine; runs in the worker's thread, may take minutes.
        max_waiting: jobs that may wait; one more is refused with Busy.
    """

    def __init__(self, load: Callable[[], Engine], *, max_waiting: int = 64) -> None:
        self._load = load
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._answers: dict[Job, asyncio.Future[Transcript]] = {}
        self._waiting: dict[Job, Waiting] = {}  # in order of arrival
        self._decoding: list[list[Job]] = []
        self._decoded = self._withdrawn = 0
        self.seconds = 0.0  # that the last decode took
        # To the thread: a batch to decode, or None to stop.
        self._inbox: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._ended: ServerError | None = None  # why there will be no more answers
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

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
        )

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ServerError: it cannot be; there will never be an answer.
        """
        await asyncio.shield(self._ready)

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
        self._dispatch()
        try:
            return await answer
        finally:
            del self._answers[job]
            if self._waiting.pop(job, None):
                self._withdrawn += 1

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
                del self._waiting[job]
            self._decoding.append(batch)
            self._inbox.put(batch)

    def _loaded(self, engine: Engine) -> None:
        self._engine = engine
        if not self._ready.done():
            self._ready.set_result(None)
        self._dispatch()

    def _not_loaded(self, error: ServerError) -> None:
        self._end(error)
        if not self._ready.done():
            self._ready.set_exception(error)

    def _finished(self, batch: list[Job], result: list[Transcript] | EngineError) -> None:
        self._decoding.remove(batch)
        for at, job in enumerate(batch):
            answer = self._answers.get(job)
            if answer is None or answer.done():
                continue  # withdrawn while it was decoded
            if isinstance(result, EngineError):
                answer.set_exception(result)
            else:
                self._decoded += 1
                answer.set_result(result[at])
        self._dispatch()

    # From here on: the threads.

    def _run(self) -> None:
        try:
            engine = self._load()
        except ServerError as error:
            self._tell(self._not_loaded, error)
            return
        except Exception as error:
            _LOGGER.debug("loading the model", exc_info=True)
            self._tell(self._not_loaded, EngineError(f"the model does not load: {error}"))
            return
        # Somebody who waits already warms the model up as well as we could.
        if not self._waiting:
            started = time.monotonic()
            try:
                engine.warm_up()
            except Exception:
                _LOGGER.warning("the model failed to warm up", exc_info=True)
            _LOGGER.debug("warm-up took %.2f s", time.monotonic() - started)
        self._tell(self._loaded, engine)
        for number in range(2, engine.parallel + 1):
            threading.Thread(
                target=self._serve, args=(engine,), name=f"worker-{number}", daemon=True
            ).start()
        self._serve(engine)

    def _serve(self, engine: Engine) -> None:
        while (batch := self._inbox.get()) is not None:
            started = time.monotonic()
            result = _decode(engine, batch)
            self.seconds = time.monotonic() - started
            self._tell(self._finished, batch, result)
        self._inbox.put(None)  # for the next thread

    def _tell(self, method: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(method, *args)
        except RuntimeError:  # the loop has closed: nobody is left to tell
            _LOGGER.debug("the loop closed while the model was busy")


def _decode(engine: Engine, batch: list[Job]) -> list[Transcript] | EngineError:
    try:
        return engine.decode(batch)
    except EngineError as error:
        return error
    except Exception as error:
        _LOGGER.exception("the model failed on %d job(s)", len(batch))
        return EngineError(f"the model failed on this audio: {type(error).__name__}")
