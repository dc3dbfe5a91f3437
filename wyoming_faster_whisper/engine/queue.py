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
from .watchdog import Watch

_LOGGER = logging.getLogger(__name__)

_DAY = 86_400.0  # seconds
_COMMAND = 10.0  # seconds of sound; what is longer is none
_TIMES = 3  # one slow decode, with a second pass or on a busy machine, is no slow engine
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
    asleep: bool  # the model's weights are freed until somebody speaks
    batches: Mapping[int, int]  # that went to the model since the start, by jobs in them


class Worker:
    """Owns one Engine; decodes the jobs of everybody.

    Args:
        load: builds the engine; runs in the worker's thread, may take minutes.
        max_waiting: jobs that may wait; one more is refused with Busy.
        patience: seconds after which a decode is taken for one that never ends; 0 = never.
        load_patience: seconds without progress after which loading is; 0 = never.
        unload_after: seconds without need after which the weights are freed; 0 = never.
        measure_after: seconds after the load until it is measured again how long a decode takes;
            each further time comes after twice as long, at most a day.
        quiet: seconds without a speaker that a measurement waits for.
        moved: bytes that this process has read and written; a model that is read from a
            slow disk, or downloaded, makes progress.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        *,
        max_waiting: int = 64,
        patience: float = 0.0,
        load_patience: float = 0.0,
        unload_after: float = 0.0,
        measure_after: float = 600.0,
        quiet: float = 30.0,
        moved: Callable[[], int] = hardware.bytes_moved,
    ) -> None:
        self._load = load
        self._max_waiting = max_waiting
        self._patience = patience
        self._load_patience = load_patience
        self._moved = moved
        self._unload_after = unload_after
        self._loop = asyncio.get_running_loop()
        self._answers: dict[Job, asyncio.Future[Transcript]] = {}
        self._waiting: dict[Job, Waiting] = {}  # in order of arrival
        self._queued: dict[Job, float] = {}  # seconds that those waited that do no more
        self._decoding: list[list[Job]] = []
        self._deadlines: dict[int, Watch] = {}  # by id() of a batch
        self._loading: Watch | None = None
        self._steps = 0  # of all warm-ups
        self._abandoned = 0  # models that hung
        self._decoded = self._withdrawn = 0
        self._batches: Counter[int] = Counter()
        self._took: deque[float] = deque(maxlen=_TIMES)  # seconds, by decodes of commands
        self._inbox: _Inbox = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._ended: ServerError | None = None  # why there will be no more answers
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._asleep = False
        self._resting: Engine | None = None  # whose weights are free
        self._needed = False  # by somebody, since the model went to sleep
        self._bedtime: asyncio.TimerHandle | None = None
        self._quiet = quiet
        self._interval = measure_after  # seconds between the last measurement and the next
        self._measuring = False
        self._measurement: asyncio.TimerHandle | None = None
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
            asleep=self._asleep,
            batches=dict(self._batches),
        )

    def start(self) -> None:
        """Begin to load the model."""
        self._inbox = queue.SimpleQueue()
        self._asleep = self._measuring = False
        self._begin(self._run)

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
        self._needed = True
        self._used()
        self._stay_awake()
        if self._resting is not None:
            engine, self._resting = self._resting, None
            self._begin(partial(self._load_again, engine))

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
            raise Busy(
                f"the queue is full ({counted(len(self._waiting), 'job')}); try again later"
            )
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
        for watch in (*self._deadlines.values(), self._loading):
            if watch is not None:
                watch.stop()
        for timer in (self._bedtime, self._measurement):
            if timer is not None:
                timer.cancel()
        self._end(EngineError("the server is stopping"))

    def _end(self, error: ServerError) -> None:
        self._ended = error
        self._refuse(error)

    def _refuse(self, error: ServerError) -> None:
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
            self._deadlines[id(batch)] = Watch(self._patience, self._abandon_decode)
            self._batches[len(batch)] += 1
            self._inbox.put(batch)

    def _begin(self, work: Callable[[_Inbox], None]) -> None:
        """Let a thread do something with the model as a whole, and watch it."""
        if self._loading is not None:
            self._loading.stop()
        # Of a daemon: the process ends although it hangs.
        threading.Thread(target=work, args=(self._inbox,), name="worker", daemon=True).start()
        self._loading = Watch(self._load_patience, self._abandon_load, self._progress)

    def _done(self, inbox: _Inbox) -> bool:
        """A thread says that it is; False where it was given up meanwhile."""
        if inbox is not self._inbox:
            return False
        if self._loading is not None:
            self._loading.stop()
        return True

    def _progress(self) -> Hashable:
        return self._steps, self._moved() // _PROGRESS

    def _loaded(self, inbox: _Inbox, engine: Engine) -> None:
        if not self._done(inbox):
            return
        self._engine = engine
        self._asleep = False
        if not self._ready.done():
            self._ready.set_result(None)
        self._stay_awake()
        if self._measurement is None:
            self._measure_in(self._interval)
        self._dispatch()

    def _not_loaded(self, inbox: _Inbox, error: ServerError) -> None:
        if not self._done(inbox):
            return
        self._end(error)
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
        if max(job.seconds for job in batch) <= _COMMAND:
            self._took.append(seconds)
        self._settle(batch, result)
        self._used()
        self._stay_awake()
        self._dispatch()

    def _settle(self, batch: list[Job], result: list[Transcript] | EngineError) -> None:
        if (deadline := self._deadlines.pop(id(batch), None)) is not None:
            deadline.stop()
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
        error = Hung(f"the model did not answer within {self._patience:g} s")
        lost, self._decoding = self._decoding, []
        for batch in lost:
            self._settle(batch, error)
        self._abandon(str(error), "--decode-timeout")

    def _abandon_load(self) -> None:
        self._abandon(
            f"the model came no further for {self._load_patience:g} s while it was loaded",
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

    def _stay_awake(self) -> None:
        if self._bedtime is not None:
            self._bedtime.cancel()
        if self._unload_after:
            self._bedtime = self._loop.call_later(self._unload_after, self._fall_asleep)

    def _fall_asleep(self) -> None:
        if self._measuring:
            self._bedtime = self._loop.call_later(self._quiet, self._fall_asleep)
            return
        if self._engine is not None and not self._waiting and not self._decoding:
            engine, self._engine = self._engine, None
            self._asleep, self._needed = True, False
            self._begin(partial(self._unload, engine))

    def _unloaded(self, inbox: _Inbox, engine: Engine) -> None:
        if self._done(inbox):
            _LOGGER.info("Nobody spoke for %g s: the model is unloaded", self._unload_after)
            self._resting = engine
            if self._needed:
                self.wake()

    def _no_room(self, inbox: _Inbox, engine: Engine, error: NoMemory) -> None:
        """There is no memory for it now: whoever speaks next has it tried again."""
        if self._done(inbox):
            _LOGGER.warning("the model stays unloaded: %s", error)
            self._resting = engine
            self._refuse(error)

    # Measurements: other programs may have been busy after the start.

    def _used(self) -> None:
        self._uses += 1
        self._last_use = self._loop.time()

    def _measure_in(self, seconds: float) -> None:
        self._measurement = self._loop.call_later(seconds, self._measure)

    def _measure(self) -> None:
        self._measurement = None
        if self._engine is None:
            return  # _loaded() goes on
        if self._waiting or self._decoding or self._loop.time() < self._last_use + self._quiet:
            self._measure_in(self._quiet)
            return
        self._measuring = True
        self._begin(partial(self._warm_up_again, self._engine))

    def _measured(self, inbox: _Inbox, done: bool) -> None:
        if not self._done(inbox):
            return
        self._measuring = False
        if done:
            self._interval = min(2 * self._interval, _DAY)
        self._measure_in(self._interval if done else self._quiet)

    # From here on: the threads.

    def _run(self, inbox: _Inbox) -> None:
        try:
            engine = self._load()
        except Exception as error:
            self._tell(self._not_loaded, inbox, _as_server_error(error))
            return
        # Somebody who waits already warms the model up as well as we could.
        if not self._waiting:
            started = time.monotonic()
            try:
                engine.warm_up(self._somebody_waits)
            except Exception as error:  # it would decode nothing of any speaker's either
                self._tell(self._not_loaded, inbox, _as_server_error(error, "decode"))
                return
            _LOGGER.debug("warm-up took %.2f s", time.monotonic() - started)
        self._tell(self._loaded, inbox, engine)
        for number in range(2, engine.parallel + 1):
            threading.Thread(
                target=self._serve, args=(engine, inbox), name=f"worker-{number}", daemon=True
            ).start()
        self._serve(engine, inbox)

    def _warm_up_again(self, engine: Engine, inbox: _Inbox) -> None:
        uses = self._uses

        def used() -> bool:
            self._steps += 1
            return self._uses != uses

        try:
            engine.warm_up(used)
        except Exception as error:
            _LOGGER.warning("the time of a decode could not be measured again: %s", error)
        self._tell(self._measured, inbox, not used())

    def _somebody_waits(self) -> bool:
        self._steps += 1
        return bool(self._waiting)

    def _unload(self, engine: Engine, inbox: _Inbox) -> None:
        try:
            engine.unload()
        except Exception as error:
            self._tell(self._not_loaded, inbox, _as_server_error(error))
        else:
            self._tell(self._unloaded, inbox, engine)

    def _load_again(self, engine: Engine, inbox: _Inbox) -> None:
        started = time.monotonic()
        try:
            engine.load()
        except NoMemory as error:
            self._tell(self._no_room, inbox, engine, error)
        except Exception as error:
            self._tell(self._not_loaded, inbox, _as_server_error(error))
        else:
            _LOGGER.info("The model is loaded again (%.1f s)", time.monotonic() - started)
            self._tell(self._loaded, inbox, engine)

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
