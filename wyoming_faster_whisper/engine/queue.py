"""The queue before the model, and the threads that use the model.

All state lives in the event loop: dispatch is one synchronous pass that moves
jobs from waiting to the threads, run after every arrival and every departure.
The threads only load, warm up and decode what they are handed, a batch at a
time each, so there is no lock.

A decode that does not end cannot be stopped, nor can a load that comes no further.
The thread and the model are left behind, and another model is loaded, once: two
that hang are no accident.
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
_LONGEST_COMMAND = 10.0  # seconds of sound; what is longer is none
_RECENT_DECODES = 3  # one slow decode, with a second pass or on a busy machine, is no slow engine
_PROGRESS = 1_000_000  # bytes; a line in the log is none

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
    unloaded: bool  # the model's weights are freed until somebody speaks
    batches: Mapping[int, int]  # that went to the model since the start, by jobs in them


class Worker:
    """Owns one Engine; decodes the jobs of everybody.

    Args:
        load: builds the engine; runs in the worker's thread, may take minutes.
        max_waiting: jobs that may wait; one more is refused with Busy.
        decode_timeout: seconds after which a decode is taken for one that never ends; 0 = never.
        load_timeout: seconds without progress after which loading is; 0 = never.
        unload_after: seconds without need after which the weights are freed; 0 = never.
        measure_after: seconds after the load until it is measured again how long a decode takes;
            each further time comes after twice as long, at most a day.
        idle_time: seconds without a speaker that a measurement waits for.
        bytes_moved: bytes that this process has read and written; a model that is read from a
            slow disk, or downloaded, makes progress.
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
        self._queued: dict[Job, float] = {}  # seconds that those waited that do no more
        self._decoding: list[list[Job]] = []
        self._decode_watchdogs: dict[int, Watchdog] = {}  # by id() of a batch
        self._load_watchdog: Watchdog | None = None
        self._steps = 0  # of all warm-ups
        self._abandoned = 0  # models that hung
        self._decoded = self._withdrawn = 0
        self._batches: Counter[int] = Counter()
        self._decode_seconds: deque[float] = deque(
            maxlen=_RECENT_DECODES
        )  # seconds, by decodes of commands
        self._inbox: _Inbox = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._stopped_by: ServerError | None = None  # why there will be no more answers
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._is_unloaded = False
        self._unloaded_engine: Engine | None = None  # whose weights are free
        self._reload_wanted = False  # by somebody, since the model went to sleep
        self._unload_timer: asyncio.TimerHandle | None = None
        self._idle_time = idle_time
        self._measure_interval = (
            measure_after  # seconds between the last measurement and the next
        )
        self._measuring = False
        self._measure_timer: asyncio.TimerHandle | None = None
        self._uses = 0  # by speakers, since the start
        self._last_use = 0.0  # seconds, by the loop's clock

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
        """Begin to load the model."""
        self._inbox = queue.SimpleQueue()
        self._is_unloaded = self._measuring = False
        self._start_thread(self._run)

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

    def reload(self) -> None:
        """Somebody begins to speak: load the model again while the audio arrives."""
        self._reload_wanted = True
        self._used()
        self._restart_unload_timer()
        if self._unloaded_engine is not None:
            engine, self._unloaded_engine = self._unloaded_engine, None
            self._start_thread(partial(self._reload, engine))

    async def submit(self, job: Job) -> Transcript:
        """Decode a job. Cancel the call to withdraw it.

        A job that has reached the model runs to its end there; its text is
        then ignored.

        Raises:
            Busy: too many jobs wait already.
            ServerError: the model failed on this job, or there is none.
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
        """That a command took to decode lately; 0 before the first."""
        return statistics.median(self._decode_seconds) if self._decode_seconds else 0.0

    @property
    def idle(self) -> bool:
        """A job that came now would be decoded at once."""
        free = self._engine is not None and len(self._decoding) < self._engine.parallel
        return free and not self._waiting

    def is_waiting(self, job: Job) -> bool:
        """True while a job has not reached the model."""
        return job in self._waiting

    async def close(self) -> None:
        """Stop the threads after the batches they decode; fail whoever still waits.

        Does not wait for a batch that does not end: the threads are daemons.
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
        """Let a thread do something with the model as a whole, and watch it."""
        if self._load_watchdog is not None:
            self._load_watchdog.stop()
        # Of a daemon: the process ends although it hangs.
        threading.Thread(target=work, args=(self._inbox,), name="worker", daemon=True).start()
        self._load_watchdog = Watchdog(self._load_timeout, self._abandon_load, self._progress)

    def _thread_done(self, inbox: _Inbox) -> bool:
        """A thread says that it is; False where it was given up meanwhile."""
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
            self._ready.exception()  # seen, though nobody may wait for it
        if not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()

    def _finished(
        self, batch: list[Job], result: list[Transcript] | EngineError, seconds: float
    ) -> None:
        if batch not in self._decoding:
            return  # it was given up
        self._decoding.remove(batch)
        # The parts of a dictation take longer, and say nothing about commands.
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
            f"the model came no further for {self._load_timeout:g} s while it was loaded",
            "--load-timeout",
        )

    def _abandon(self, why: str, option: str) -> None:
        """A thread does not come back: leave its model behind, and all that it decodes."""
        self._abandoned += 1
        self._engine = None
        self._inbox.put(None)  # for threads that are not in it
        if self._abandoned > 1:
            self._not_loaded(
                self._inbox,
                EngineError(
                    f"{why}, and it is the second that hangs; if this machine is that slow, "
                    f"give {option} more, or a smaller --model"
                ),
            )
            return
        _LOGGER.error("%s; it is abandoned, another is loaded", why)
        self.start()

    # Sleep: the weights are freed while nobody needs them.

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
            _LOGGER.info("Nobody spoke for %g s: the model is unloaded", self._unload_after)
            self._unloaded_engine = engine
            if self._reload_wanted:
                self.reload()

    def _not_reloaded(self, inbox: _Inbox, engine: Engine, error: NoMemory) -> None:
        """There is no memory for it now: whoever speaks next has it tried again."""
        if self._thread_done(inbox):
            _LOGGER.warning("the model stays unloaded: %s", error)
            self._unloaded_engine = engine
            self._fail_waiting(error)

    # Measurements: other programs may have been busy after the start.

    def _used(self) -> None:
        self._uses += 1
        self._last_use = self._loop.time()

    def _measure_in(self, seconds: float) -> None:
        self._measure_timer = self._loop.call_later(seconds, self._measure)

    def _measure(self) -> None:
        self._measure_timer = None
        if self._engine is None:
            return  # _loaded() goes on
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

    # From here on: the threads.

    def _run(self, inbox: _Inbox) -> None:
        try:
            engine = self._load()
        except Exception as error:
            self._call_in_loop(self._not_loaded, inbox, _as_server_error(error))
            return
        # Somebody who waits already warms the model up as well as we could.
        if not self._waiting:
            started = time.monotonic()
            try:
                engine.warm_up(self._any_waiting)
            except Exception as error:  # it would decode nothing of any speaker's either
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
            _LOGGER.warning("the time of a decode could not be measured again: %s", error)
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
            _LOGGER.info("The model is loaded again (%.1f s)", time.monotonic() - started)
            self._call_in_loop(self._loaded, inbox, engine)

    def _serve(self, engine: Engine, inbox: _Inbox) -> None:
        while (batch := inbox.get()) is not None:
            started = self._loop.time()
            result = _decode(engine, batch)
            self._call_in_loop(self._finished, batch, result, self._loop.time() - started)
        inbox.put(None)  # for the next thread

    def _call_in_loop(self, method: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(method, *args)
        except RuntimeError:  # the loop has closed: nobody is left to tell
            _LOGGER.debug("the loop closed while the model was busy")


def _as_server_error(error: Exception, what: str = "load") -> ServerError:
    """Say why there is no model.

    Args:
        what: it does not do.
    """
    if isinstance(error, ServerError):
        return error
    _LOGGER.debug("the model does not %s", what, exc_info=error)
    said = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or re.search(r"alloc|out of memory", said):
        return NoMemory(
            f"the memory did not do for the model ({said}); choose a smaller one with --model, "
            "or let the server have more"
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
