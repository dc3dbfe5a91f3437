"""Job queue in front of the model, and the threads that use the model.

All state belongs to the event loop. Dispatch is one synchronous pass that moves jobs
from the queue to the threads; it runs after every arrival and every departure. The
threads only load, unload, measure and decode, one batch at a time each, so there is
no lock.

A hung decode cannot be stopped, and neither can a hung load. The worker abandons the
thread and the model, and loads the model again. It does so once: a second hang is not
an accident, and the worker fails.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from .. import hardware
from ..errors import Busy, EngineError, Hung, NoMemory, ServerError, counted
from .protocol import Engine, Job, Transcript
from .scheduler import Waiting, next_batch
from .watchdog import Watchdog

_LOGGER = logging.getLogger(__name__)

_DAY = 86_400.0  # seconds
_LONGEST_COMMAND = 10.0  # seconds of audio; longer jobs are dictation
# Number of decodes in the median. A single slow decode, with a second pass or on a busy machine,
# must not make the engine look slow.
_RECENT_DECODES = 3
_PROGRESS = 1_000_000  # bytes that count as progress; a line in the log is smaller

# Input of the threads of one engine: batches to decode, or None to stop.
_Inbox = queue.SimpleQueue[list[Job] | None]


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """Snapshot of a worker's state and counters."""

    ready: bool  # the model is loaded
    waiting: int  # jobs in the queue
    decoding: int  # jobs that are being decoded
    decoded: int  # jobs answered since the start
    withdrawn: int  # jobs cancelled before they reached the model
    unloaded: bool  # the model's weights are freed until the next speech
    batches: Mapping[int, int]  # batches sent to the model since the start, by number of jobs


class Worker:
    """Owner of one Engine; decodes the jobs of all clients.

    Create it, and call its methods, in the event loop.

    Args:
        load: builds the engine. It runs in a worker thread and may take minutes.
        max_waiting: number of jobs that may wait; further jobs are refused with Busy.
        decode_timeout: seconds after which a decode counts as hung; 0 = never.
        load_timeout: seconds without progress after which a load counts as hung; 0 = never.
        unload_after: idle seconds after which the weights are freed; 0 = never.
        measure_after: seconds from the load to the second measurement of the decode time. Each
            interval between further measurements is twice the previous one, at most a day.
        idle_time: seconds without speech before a measurement may start.
        bytes_moved: returns the number of bytes that this process has read and written. They
            are the progress of a load from a slow disk, or of a download.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        *,
        max_waiting: int = 64,
        decode_timeout: float = 0.0,
        load_timeout: float = 0.0,
        unload_after: float = 0.0,
        measure_after: float = 600.0,
        idle_time: float = 30.0,
        bytes_moved: Callable[[], int] = hardware.bytes_moved,
    ) -> None:
        self._load = load
        self._max_waiting = max_waiting
        self._decode_timeout = decode_timeout
        self._load_timeout = load_timeout
        self._bytes_moved = bytes_moved
        self._unload_after = unload_after
        self._loop = asyncio.get_running_loop()
        self._answers: dict[Job, asyncio.Future[Transcript]] = {}
        self._waiting: dict[Job, Waiting] = {}  # in order of arrival
        self._queued: dict[Job, float] = {}  # seconds in the queue, of jobs that left it
        self._decoding: list[list[Job]] = []
        self._decode_watchdogs: dict[int, Watchdog] = {}  # by id() of a batch
        self._load_watchdog: Watchdog | None = None
        self._steps = 0  # test decodes of all measurements; they count as progress
        self._abandoned = 0  # number of models that hung
        self._decoded = self._withdrawn = 0
        self._batches: Counter[int] = Counter()
        self._decode_seconds: deque[float] = deque(
            maxlen=_RECENT_DECODES
        )  # seconds, of the last commands
        self._inbox: _Inbox = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._stopped_by: ServerError | None = None  # why no job will be answered any more
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._is_unloaded = False
        self._unloaded_engine: Engine | None = None  # engine whose weights are freed
        self._reload_wanted = False  # speech has started since the unload began
        self._unload_timer: asyncio.TimerHandle | None = None
        self._idle_time = idle_time
        self._measure_interval = (
            measure_after  # seconds between the last measurement and the next
        )
        self._measuring = False
        self._measure_timer: asyncio.TimerHandle | None = None
        self._uses = 0  # by clients, since the start
        self._last_use = 0.0  # seconds on the loop's clock

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
            unloaded=self._is_unloaded,
            batches=dict(self._batches),
        )

    def start(self) -> None:
        """Start to load the model in a thread."""
        self._inbox = queue.SimpleQueue()
        self._is_unloaded = self._measuring = False
        self._start_thread(self._run)

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ServerError: the model cannot be loaded, and no job will be answered.
        """
        await asyncio.shield(self._ready)

    async def failed(self) -> None:
        """Wait until the worker fails for good and answers no more jobs; usually for ever.

        Raises:
            ServerError: always; the reason of the failure.
        """
        await asyncio.shield(self._failed)

    def reload(self) -> None:
        """Reload an unloaded model. Call this when speech starts, while the audio arrives."""
        self._reload_wanted = True
        self._used()
        self._restart_unload_timer()
        if self._unloaded_engine is not None:
            engine, self._unloaded_engine = self._unloaded_engine, None
            self._start_thread(partial(self._reload, engine))

    async def submit(self, job: Job) -> Transcript:
        """Decode a job. Cancel the call to withdraw it.

        A job that has already reached the model is decoded to its end, and its text is
        discarded.

        Raises:
            Busy: the queue is full.
            ServerError: the model failed on this job, or there is no usable model.
        """
        if self._stopped_by is not None:
            raise self._stopped_by
        if len(self._waiting) >= self._max_waiting:
            raise Busy(
                f"the queue is full ({counted(len(self._waiting), 'job')}); try again later"
            )
        answer: asyncio.Future[Transcript] = self._loop.create_future()
        self._answers[job] = answer
        self._waiting[job] = Waiting(job, self._loop.time())
        self.reload()
        self._dispatch()
        try:
            return await answer
        finally:
            del self._answers[job]
            self._queued.pop(job, None)
            if self._waiting.pop(job, None):
                self._withdrawn += 1

    @property
    def decode_seconds(self) -> float:
        """Median time of the last few decodes of commands, in seconds; 0 before the first."""
        return statistics.median(self._decode_seconds) if self._decode_seconds else 0.0

    @property
    def idle(self) -> bool:
        """True if a job submitted now would be decoded at once."""
        free = self._engine is not None and len(self._decoding) < self._engine.parallel
        return free and not self._waiting

    def is_waiting(self, job: Job) -> bool:
        """Return True while the job is in the queue and has not reached the model."""
        return job in self._waiting

    async def close(self) -> None:
        """Stop the threads after their current batches; fail all unanswered jobs.

        It does not wait for the threads. They are daemons, so a hung batch does not keep the
        process alive.
        """
        self._inbox.put(None)
        for watchdog in (*self._decode_watchdogs.values(), self._load_watchdog):
            if watchdog is not None:
                watchdog.stop()
        for timer in (self._unload_timer, self._measure_timer):
            if timer is not None:
                timer.cancel()
        self._stop_answering(EngineError("the server is stopping"))

    def _stop_answering(self, error: ServerError) -> None:
        self._stopped_by = error
        self._fail_waiting(error)

    def _fail_waiting(self, error: ServerError) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)

    def _dispatch(self) -> None:
        while self._engine is not None and len(self._decoding) < self._engine.parallel:
            engine = self._engine
            batch = next_batch(list(self._waiting.values()), engine.max_batch, engine.batch_key)
            if not batch:
                return
            for job in batch:
                self._queued[job] = self._loop.time() - self._waiting.pop(job).since
            self._decoding.append(batch)
            self._decode_watchdogs[id(batch)] = Watchdog(
                self._decode_timeout, self._abandon_decode
            )
            self._batches[len(batch)] += 1
            self._inbox.put(batch)

    def _start_thread(self, work: Callable[[_Inbox], None]) -> None:
        """Load, unload or measure the model in a thread, under the load watchdog."""
        if self._load_watchdog is not None:
            self._load_watchdog.stop()
        # A daemon, so that the process can end although the thread hangs.
        threading.Thread(target=work, args=(self._inbox,), name="worker", daemon=True).start()
        self._load_watchdog = Watchdog(self._load_timeout, self._abandon_load, self._progress)

    def _thread_done(self, inbox: _Inbox) -> bool:
        """Stop the load watchdog; return False if the thread has been abandoned."""
        if inbox is not self._inbox:
            return False
        if self._load_watchdog is not None:
            self._load_watchdog.stop()
        return True

    def _progress(self) -> Hashable:
        return self._steps, self._bytes_moved() // _PROGRESS

    def _loaded(self, inbox: _Inbox, engine: Engine) -> None:
        if not self._thread_done(inbox):
            return
        self._engine = engine
        self._is_unloaded = False
        if not self._ready.done():
            self._ready.set_result(None)
        self._restart_unload_timer()
        if self._measure_timer is None:
            self._measure_in(self._measure_interval)
        self._dispatch()

    def _not_loaded(self, inbox: _Inbox, error: ServerError) -> None:
        if not self._thread_done(inbox):
            return
        self._stop_answering(error)
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # asyncio warns of an exception that is never retrieved
        if not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()

    def _finished(
        self, batch: list[Job], result: list[Transcript] | EngineError, seconds: float
    ) -> None:
        if batch not in self._decoding:
            return  # the batch has been abandoned
        self._decoding.remove(batch)
        # The segments of a dictation take longer and say nothing about commands.
        if max(job.seconds for job in batch) <= _LONGEST_COMMAND:
            self._decode_seconds.append(seconds)
        self._settle(batch, result)
        self._used()
        self._restart_unload_timer()
        self._dispatch()

    def _settle(self, batch: list[Job], result: list[Transcript] | EngineError) -> None:
        if (watchdog := self._decode_watchdogs.pop(id(batch), None)) is not None:
            watchdog.stop()
        for at, job in enumerate(batch):
            answer = self._answers.get(job)
            if answer is None or answer.done():
                continue  # withdrawn while it was decoded
            if isinstance(result, EngineError):
                answer.set_exception(result)
            else:
                self._decoded += 1
                answer.set_result(replace(result[at], queued=self._queued[job]))

    def _abandon_decode(self) -> None:
        error = Hung(f"the model did not answer within {self._decode_timeout:g} s")
        lost, self._decoding = self._decoding, []
        for batch in lost:
            self._settle(batch, error)
        self._abandon(str(error), "--decode-timeout")

    def _abandon_load(self) -> None:
        self._abandon(
            f"loading the model made no progress for {self._load_timeout:g} s",
            "--load-timeout",
        )

    def _abandon(self, why: str, option: str) -> None:
        """Abandon a hung thread and its model; load the model again, the first time."""
        self._abandoned += 1
        self._engine = None
        self._inbox.put(None)  # stops the threads that do not hang
        if self._abandoned > 1:
            self._not_loaded(
                self._inbox,
                EngineError(
                    f"{why}, and this is the second hang; if the machine is only slow, raise "
                    f"{option} or choose a smaller --model"
                ),
            )
            return
        _LOGGER.error("%s; abandoning it and loading the model again", why)
        self.start()

    # Idle unload: the weights are freed while no client needs them.

    def _restart_unload_timer(self) -> None:
        if self._unload_timer is not None:
            self._unload_timer.cancel()
        if self._unload_after:
            self._unload_timer = self._loop.call_later(self._unload_after, self._unload_if_idle)

    def _unload_if_idle(self) -> None:
        if self._measuring:
            self._unload_timer = self._loop.call_later(self._idle_time, self._unload_if_idle)
            return
        if self._engine is not None and not self._waiting and not self._decoding:
            engine, self._engine = self._engine, None
            self._is_unloaded, self._reload_wanted = True, False
            self._start_thread(partial(self._unload, engine))

    def _unloaded(self, inbox: _Inbox, engine: Engine) -> None:
        if self._thread_done(inbox):
            _LOGGER.info("Model unloaded after %g s without speech", self._unload_after)
            self._unloaded_engine = engine
            if self._reload_wanted:
                self.reload()

    def _not_reloaded(self, inbox: _Inbox, engine: Engine, error: NoMemory) -> None:
        """Keep the model unloaded for lack of memory; the next speech tries again."""
        if self._thread_done(inbox):
            _LOGGER.warning("the model stays unloaded: %s", error)
            self._unloaded_engine = engine
            self._fail_waiting(error)

    # Repeated measurements: other programs may have been busy during the first one.

    def _used(self) -> None:
        self._uses += 1
        self._last_use = self._loop.time()

    def _measure_in(self, seconds: float) -> None:
        self._measure_timer = self._loop.call_later(seconds, self._measure)

    def _measure(self) -> None:
        self._measure_timer = None
        if self._engine is None:
            return  # _loaded() schedules the next measurement
        if (
            self._waiting
            or self._decoding
            or self._loop.time() < self._last_use + self._idle_time
        ):
            self._measure_in(self._idle_time)
            return
        self._measuring = True
        self._start_thread(partial(self._measure_again, self._engine))

    def _measured(self, inbox: _Inbox, done: bool) -> None:
        if not self._thread_done(inbox):
            return
        self._measuring = False
        if done:
            self._measure_interval = min(2 * self._measure_interval, _DAY)
        self._measure_in(self._measure_interval if done else self._idle_time)

    # The methods below run in the worker's threads.

    def _run(self, inbox: _Inbox) -> None:
        try:
            engine = self._load()
        except Exception as error:
            self._call_in_loop(self._not_loaded, inbox, _as_server_error(error))
            return
        # A job that already waits warms the model up just as well.
        if not self._waiting:
            started = time.monotonic()
            try:
                engine.warm_up(self._any_waiting)
            except Exception as error:  # it could not decode speech either
                self._call_in_loop(self._not_loaded, inbox, _as_server_error(error, "decode"))
                return
            _LOGGER.debug("warm-up took %.2f s", time.monotonic() - started)
        self._call_in_loop(self._loaded, inbox, engine)
        for number in range(2, engine.parallel + 1):
            threading.Thread(
                target=self._serve, args=(engine, inbox), name=f"worker-{number}", daemon=True
            ).start()
        self._serve(engine, inbox)

    def _measure_again(self, engine: Engine, inbox: _Inbox) -> None:
        uses = self._uses

        def used() -> bool:
            self._steps += 1
            return self._uses != uses

        try:
            engine.warm_up(used)
        except Exception as error:
            _LOGGER.warning("measuring the decode time again failed: %s", error)
        self._call_in_loop(self._measured, inbox, not used())

    def _any_waiting(self) -> bool:
        self._steps += 1
        return bool(self._waiting)

    def _unload(self, engine: Engine, inbox: _Inbox) -> None:
        try:
            engine.unload()
        except Exception as error:
            self._call_in_loop(self._not_loaded, inbox, _as_server_error(error))
        else:
            self._call_in_loop(self._unloaded, inbox, engine)

    def _reload(self, engine: Engine, inbox: _Inbox) -> None:
        started = time.monotonic()
        try:
            engine.load()
        except NoMemory as error:
            self._call_in_loop(self._not_reloaded, inbox, engine, error)
        except Exception as error:
            self._call_in_loop(self._not_loaded, inbox, _as_server_error(error))
        else:
            _LOGGER.info("Model reloaded in %.1f s", time.monotonic() - started)
            self._call_in_loop(self._loaded, inbox, engine)

    def _serve(self, engine: Engine, inbox: _Inbox) -> None:
        while (batch := inbox.get()) is not None:
            started = self._loop.time()
            result = _decode(engine, batch)
            self._call_in_loop(self._finished, batch, result, self._loop.time() - started)
        inbox.put(None)  # stops the next thread

    def _call_in_loop(self, method: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(method, *args)
        except RuntimeError:  # the event loop has closed
            _LOGGER.debug("the loop closed while the model was busy")


def _as_server_error(error: Exception, what: str = "load") -> ServerError:
    """Convert an exception to the error that says why there is no usable model.

    Args:
        what: what the model could not do, as a verb: "load" or "decode".
    """
    if isinstance(error, ServerError):
        return error
    _LOGGER.debug("the model does not %s", what, exc_info=error)
    said = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or re.search(r"alloc|out of memory", said):
        return NoMemory(
            f"not enough memory for the model ({said}); choose a smaller one with --model, or "
            "give the server more memory"
        )
    return EngineError(f"the model does not {what}: {said}")


def _decode(engine: Engine, batch: list[Job]) -> list[Transcript] | EngineError:
    try:
        return engine.decode(batch)
    except EngineError as error:
        return error
    except Exception as error:
        _LOGGER.exception("the model failed on %s", counted(len(batch), "job"))
        return EngineError(f"the model failed on this audio: {type(error).__name__}")
