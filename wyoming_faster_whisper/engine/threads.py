"""Threads of one engine, under watchdogs: they load, unload, measure and decode."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ..errors import EngineError, ServerError, counted
from .protocol import Engine, Job, Transcript
from .timing import Timing
from .watchdog import Watchdog

_LOGGER = logging.getLogger(__name__)

_PROGRESS = 1_000_000  # bytes that count as progress; a log line alone does not

T = TypeVar("T")

OnDecoded = Callable[[list[Transcript] | ServerError, float | None], None]
"""Called with the transcripts of a batch, or the error instead of them, and the seconds that the
decode took; None = the decode has not ended, and its threads are abandoned."""


@dataclass(frozen=True, slots=True)
class _Batch:
    engine: Engine
    jobs: list[Job]
    on_decoded: OnDecoded


class EngineThreads:
    """Threads that use one engine, each for one load, measurement or batch at a time.

    Create it, and call its methods, in the event loop; the callbacks are called there too. The
    threads hold no state of their own, so there is no lock. They are daemons: one that hangs
    does not keep the process alive.

    Args:
        timing: the timeouts of the watchdogs.
        on_hung: called when a thread hangs, with a sentence for the log and the option that sets
            the timeout. It must call abandon().
    """

    def __init__(self, timing: Timing, on_hung: Callable[[str, str], None]) -> None:
        self._timing = timing
        self._on_hung = on_hung
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()  # None = stop
        self._abandoned = False
        self._call_watchdog: Watchdog | None = None
        self._decodes: dict[Watchdog, OnDecoded] = {}  # the running ones
        self._decoders = 1  # threads that decode; the one that loads goes on to be the first
        self._steps = 0  # test decodes of all measurements

    @property
    def calling(self) -> bool:
        """True while a load() or call() runs."""
        return self._call_watchdog is not None

    def load(
        self, build: Callable[[], Engine], on_loaded: Callable[[Engine | Exception], None]
    ) -> None:
        """Build the engine in a thread, which then decodes."""
        self._start("worker", partial(self._build, build, self._watched(on_loaded)))

    def call(self, work: Callable[[], T], on_done: Callable[[T | Exception], None]) -> None:
        """Call a blocking function in a thread of its own, one at a time.

        Args:
            on_done: called with the result, or with the exception that was raised.
        """
        self._start("worker", partial(self._call, work, self._watched(on_done)))

    def decode(self, engine: Engine, jobs: list[Job], on_decoded: OnDecoded) -> None:
        """Decode a batch in a free thread, or else a new one.

        on_decoded is called exactly once.
        """
        watchdog = Watchdog(self._timing.decode_timeout, self._decode_hung)
        self._decodes[watchdog] = on_decoded
        # Not all at once after the load: the number may change while the engine is used.
        if len(self._decodes) > self._decoders:
            self._decoders += 1
            self._start(f"worker-{self._decoders}", self._serve)

        def ended(result: list[Transcript] | ServerError, seconds: float | None) -> None:
            watchdog.stop()
            self._decodes.pop(watchdog)(result, seconds)

        self._inbox.put(_Batch(engine, jobs, ended))

    def counting(self, needed: Callable[[], bool]) -> Callable[[], bool]:
        """Wrap needed() so that each call, one per test decode, counts as progress."""

        def step() -> bool:
            self._steps += 1
            return needed()

        return step

    def abandon(self, error: ServerError) -> None:
        """Discard all further results. The threads that do not hang stop after their batch.

        Args:
            error: the result of the running decodes.
        """
        self._abandoned = True
        self._inbox.put(None)
        if self._call_watchdog is not None:
            self._call_watchdog.stop()
        decodes, self._decodes = self._decodes, {}
        for watchdog, on_decoded in decodes.items():
            watchdog.stop()
            on_decoded(error, None)

    def _watched(self, on_done: Callable[[T], None]) -> Callable[[T], None]:
        watchdog = Watchdog(self._timing.load_timeout, self._call_hung, self._progress)
        self._call_watchdog = watchdog

        def ended(result: T) -> None:
            watchdog.stop()
            self._call_watchdog = None
            on_done(result)

        return ended

    def _progress(self) -> tuple[int, int]:
        return self._steps, self._timing.bytes_moved() // _PROGRESS

    def _call_hung(self) -> None:
        why = f"loading the model made no progress for {self._timing.load_timeout:g} s"
        self._on_hung(why, "--load-timeout")

    def _decode_hung(self) -> None:
        why = f"the model did not answer within {self._timing.decode_timeout:g} s"
        self._on_hung(why, "--decode-timeout")

    def _start(self, name: str, target: Callable[[], object]) -> None:
        threading.Thread(target=target, name=name, daemon=True).start()

    # The methods below run in the threads.

    def _build(
        self, build: Callable[[], Engine], on_loaded: Callable[[Engine | Exception], None]
    ) -> None:
        engine = self._call(build, on_loaded)
        if not isinstance(engine, Exception):
            self._serve()

    def _call(
        self, work: Callable[[], T], on_done: Callable[[T | Exception], None]
    ) -> T | Exception:
        result: T | Exception
        try:
            result = work()
        except Exception as error:
            result = error
        self._call_in_loop(on_done, result)
        return result

    def _serve(self) -> None:
        while (batch := self._inbox.get()) is not None:
            started = self._loop.time()
            result = _decode(batch.engine, batch.jobs)
            self._call_in_loop(batch.on_decoded, result, self._loop.time() - started)
        self._inbox.put(None)  # stops the next thread

    def _call_in_loop(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver, callback, args)
        except RuntimeError:  # the event loop has closed
            _LOGGER.debug("the loop closed while the model was busy")

    def _deliver(self, callback: Callable[..., None], args: tuple[object, ...]) -> None:
        if not self._abandoned:
            callback(*args)


def _decode(engine: Engine, batch: list[Job]) -> list[Transcript] | ServerError:
    try:
        return engine.decode(batch)
    except ServerError as error:
        return error
    except Exception as error:
        _LOGGER.exception("the model failed on %s", counted(len(batch), "job"))
        return EngineError(f"the model failed on this audio: {type(error).__name__}")
