"""Lifecycle of the model: load, hang, idle unload and reload.

               ┌──────────── reload ────────────────────┐
               v                                        │
    start ─► LOADING ──loaded──► READY ──idle unload──► UNLOADED
               │ ^                 │                    ^
               │ └───── hung ──────┘                    │
               └────── too little memory to reload ─────┘

    A model that is loaded lazily begins as UNLOADED. A hung load or unload also leads to LOADING.
    A failed load, a failed unload, the second hang and close() lead to LOST, whatever the state.
    LOST is final.

A hung decode cannot be stopped, and neither can a hung load. The first time, the threads are
abandoned with their engine, and the model is loaded again; docs/architecture.md says why the
process does not exit. After a second hang the model is given up: it is LOST.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial

from ..errors import EngineError, Hung, IllegalTransition, NoMemory, ServerError, Stopping
from .idle_measurement import IdleMeasurement
from .loading import as_server_error, load_and_warm_up
from .protocol import Engine, Job, Withdrawable
from .threads import EngineThreads, OnDecoded
from .timing import Timing

_LOGGER = logging.getLogger(__name__)


class ModelState(Enum):
    """State of the model. The docstring of lifecycle.py has the transitions."""

    LOADING = "loading"  # or loading again, after an idle unload or a hang
    READY = "ready"
    UNLOADED = "unloaded"  # the weights are freed, or about to be, until the next speech
    LOST = "lost"  # final: no further job will be answered

    def to(self, state: ModelState) -> ModelState:
        """Return the next state.

        Raises:
            IllegalTransition: the diagram has no such transition.
        """
        if state not in _NEXT[self]:
            raise IllegalTransition(f"from {self.name} to {state.name}")
        return state


_NEXT: Mapping[ModelState, frozenset[ModelState]] = {
    ModelState.LOADING: frozenset(ModelState),
    ModelState.READY: frozenset({ModelState.LOADING, ModelState.UNLOADED, ModelState.LOST}),
    ModelState.UNLOADED: frozenset({ModelState.LOADING, ModelState.LOST}),
    ModelState.LOST: frozenset(),
}


class Lifecycle:
    """Owner of the engine and its state. Create it, and call its methods, in the event loop.

    Args:
        load: builds the engine. It runs in a thread and may take minutes.
        timing: when the model counts as hung, is unloaded, and is measured again.
        busy: returns True while a job of this model waits or is decoded.
        any_busy: the same for all models; None = busy.
        on_ready: called whenever the model has become READY.
        on_error: called with the reason when the waiting jobs cannot be decoded: the model is
            LOST, or there is too little memory to reload it.
        lazy: the model is UNLOADED until use() loads it. Otherwise start() does.
        name: the model's name, for the log.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        timing: Timing,
        *,
        busy: Callable[[], bool],
        on_ready: Callable[[], None],
        on_error: Callable[[ServerError], None],
        any_busy: Callable[[], bool] | None = None,
        lazy: bool = False,
        name: str = "",
    ) -> None:
        self._what = f"Model {name}" if name else "The model"
        self._load = load
        self._timing = timing
        self._busy = busy
        self._any_busy = any_busy or busy
        self._lazy = lazy
        self._on_ready = on_ready
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._state = ModelState.UNLOADED if lazy else ModelState.LOADING
        self._engine: Engine | None = None  # from the first load on
        self._threads = EngineThreads(timing, self._hung)
        self._hangs = 0
        self._error: ServerError | None = None
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._unload_timer: asyncio.TimerHandle | None = None
        self._reload_wanted = False  # a client has needed the model since the unload began
        self._measurement = IdleMeasurement(
            timing.measure_after,
            timing.idle_time,
            ready=lambda: self._state is ModelState.READY,
            busy=self._any_busy,
            begin=self._measure,
        )

    @property
    def state(self) -> ModelState:
        return self._state

    @property
    def engine(self) -> Engine | None:
        """The engine while the model is READY; otherwise None."""
        return self._engine if self._state is ModelState.READY else None

    @property
    def error(self) -> ServerError | None:
        """The reason why the model is LOST."""
        return self._error

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ServerError: the model cannot be loaded.
        """
        await asyncio.shield(self._ready)

    async def failed(self) -> None:
        """Wait until the model is LOST for a reason other than close(); usually forever.

        Raises:
            ServerError: always; the reason.
        """
        await asyncio.shield(self._failed)

    def start(self) -> None:
        """Load the model."""
        self._state = self._state.to(ModelState.LOADING)
        self._threads = EngineThreads(self._timing, self._hung)
        needed = self._threads.counting(self._any_busy)
        self._threads.load(partial(load_and_warm_up, self._load, needed), self._loaded)

    def used(self) -> None:
        """Note that a client needs this model or another one: measure nothing now."""
        self._measurement.used()

    def use(self) -> None:
        """Note that a client needs the model, and load it if it is unloaded."""
        self.used()
        self._reload_wanted = True
        self._restart_unload_timer()
        if self._state is ModelState.UNLOADED and not self._threads.calling:
            self._reload()

    def decode(self, jobs: list[Job], on_decoded: OnDecoded) -> None:
        """Decode a batch; the model must be READY.

        on_decoded is called exactly once, in the event loop.
        """
        assert self.engine is not None
        self._threads.decode(self.engine, jobs, on_decoded)

    def withdraw(self, job: Job) -> None:
        """End the decode of a job whose text is not needed, if the engine can."""
        if isinstance(self.engine, Withdrawable):
            self.engine.withdraw(job)

    def close(self) -> None:
        """Stop the threads after their current batches, without waiting. The model is LOST."""
        if self._state is not ModelState.LOST:
            self._end(Stopping())

    def _loaded(self, result: Engine | Exception) -> None:
        if isinstance(result, NoMemory) and self._lazy:
            self._stay_unloaded(result)
        elif isinstance(result, Exception):
            self._lose(result)
        else:
            self._engine = result
            self._become_ready()

    def _become_ready(self) -> None:
        self._state = self._state.to(ModelState.READY)
        if not self._ready.done():
            self._ready.set_result(None)
        self._restart_unload_timer()
        self._measurement.schedule()
        self._on_ready()

    def _hung(self, why: str, option: str) -> None:
        """Abandon the threads and their engine; load the model again, the first time."""
        self._hangs += 1
        self._state = self._state.to(ModelState.LOADING)
        self._threads.abandon(Hung(why))
        if self._hangs == 1:
            _LOGGER.error("%s; abandoning it and loading the model again", why)
            self.start()
            return
        advice = f"if the machine is only slow, raise {option} or choose a smaller --model"
        self._lose(EngineError(f"{why}, and this is the second hang; {advice}"))

    def _lose(self, why: Exception) -> None:
        error = as_server_error(why)
        self._end(error)
        for waiter in (self._ready, self._failed):
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # asyncio warns of an exception that is never retrieved

    def _end(self, error: ServerError) -> None:
        self._state = self._state.to(ModelState.LOST)
        self._error = error
        self._threads.abandon(error)
        self._measurement.close()
        if self._unload_timer is not None:
            self._unload_timer.cancel()
        self._on_error(error)

    # Idle unload: the weights are freed while no client needs them.

    def _restart_unload_timer(self) -> None:
        if self._timing.unload_after and self._state is not ModelState.LOST:
            self._unload_if_idle_after(self._timing.unload_after)

    def _unload_if_idle_after(self, seconds: float) -> None:
        if self._unload_timer is not None:
            self._unload_timer.cancel()
        self._unload_timer = self._loop.call_later(seconds, self._unload_if_idle)

    def _unload_if_idle(self) -> None:
        if self._measurement.running:
            self._unload_if_idle_after(self._timing.idle_time)
        elif self.engine is not None and not self._busy():
            unload = self.engine.unload
            self._state = self._state.to(ModelState.UNLOADED)
            self._reload_wanted = False
            self._threads.call(unload, self._unloaded)

    def _unloaded(self, result: Exception | None) -> None:
        if result is not None:
            self._lose(result)
            return
        _LOGGER.info(
            "%s unloaded after %g s without speech", self._what, self._timing.unload_after
        )
        if self._reload_wanted:
            self.use()

    def _reload(self) -> None:
        if self._engine is None:  # it is needed for the first time
            self.start()
            return
        self._state = self._state.to(ModelState.LOADING)
        self._threads.call(self._engine.load, partial(self._reloaded, self._loop.time()))

    def _reloaded(self, started: float, result: Exception | None) -> None:
        if result is None:
            _LOGGER.info("%s reloaded in %.1f s", self._what, self._loop.time() - started)
            self._become_ready()
        elif isinstance(result, NoMemory):
            self._stay_unloaded(result)
        else:
            self._lose(result)

    def _stay_unloaded(self, why: NoMemory) -> None:
        """Fail the waiting jobs; the next speech tries to load again."""
        _LOGGER.warning("%s stays unloaded: %s", self._what, why)
        self._state = self._state.to(ModelState.UNLOADED)
        self._on_error(why)

    # Repeated measurements.

    def _measure(self, needed: Callable[[], bool]) -> None:
        assert self.engine is not None
        measure = partial(self.engine.warm_up, self._threads.counting(needed))
        self._threads.call(measure, self._measured)

    def _measured(self, result: Exception | None) -> None:
        if result is not None:
            _LOGGER.warning("measuring the decode time again failed: %s", result)
        self._measurement.ended()
