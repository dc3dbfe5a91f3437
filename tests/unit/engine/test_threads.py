"""Threads of an engine: nothing more is heard of abandoned ones."""

from __future__ import annotations

import asyncio
import threading

from wyoming_faster_whisper.engine.threads import EngineThreads
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.errors import EngineError, Stopping

SOON = 0.05  # seconds


class Stuck:
    """Call that blocks until the test releases it."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._begun = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self) -> str:
        self._thread = threading.current_thread()
        self._begun.set()
        self._go.wait()
        return "done"

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 10)

    async def release(self) -> None:
        """Return from the call and wait until its result would have been delivered."""
        self._go.set()
        assert self._thread is not None
        await asyncio.to_thread(self._thread.join, 10)
        await asyncio.sleep(0)


async def test_the_result_of_a_call_is_delivered() -> None:
    threads, stuck = EngineThreads(Timing(), lambda *_: None), Stuck()
    results: list[str | Exception] = []
    threads.call(stuck, results.append)
    await stuck.begun()
    assert threads.calling
    await stuck.release()
    assert results == ["done"]
    assert not threads.calling


async def test_the_result_of_an_abandoned_call_is_discarded() -> None:
    threads, stuck = EngineThreads(Timing(), lambda *_: None), Stuck()
    results: list[str | Exception] = []
    threads.call(stuck, results.append)
    await stuck.begun()
    threads.abandon(EngineError("hung"))
    await stuck.release()
    assert results == []


async def test_an_abandoned_call_does_not_hang_any_more() -> None:
    hung: list[str] = []
    timing = Timing(load_timeout=SOON, bytes_moved=lambda: 0)
    threads, stuck = EngineThreads(timing, lambda why, option: hung.append(option)), Stuck()
    threads.call(stuck, lambda _: None)
    await stuck.begun()
    threads.abandon(Stopping())
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(2 * SOON, passed.set_result, None)
    await passed
    assert hung == []
    await stuck.release()
