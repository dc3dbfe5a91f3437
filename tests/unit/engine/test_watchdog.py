"""Watchdog: detects an operation that stopped making progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from tests.support.virtual_time import advance, run
from wyoming_faster_whisper.engine.watchdog import Watchdog

TIMEOUT = 1.0  # seconds of virtual time; a check every 0.1 s


class Operation:
    """A watched operation, and the times at which it was reported as hung."""

    def __init__(
        self, timeout: float = TIMEOUT, progress: Callable[[], Hashable] = lambda: None
    ) -> None:
        self.hung: list[float] = []
        self._loop = asyncio.get_running_loop()
        self.watchdog = Watchdog(timeout, self._on_hung, progress)

    def _on_hung(self) -> None:
        self.hung.append(round(self._loop.time(), 3))


def test_a_hung_operation_is_reported_once() -> None:
    async def test() -> list[float]:
        operation = Operation()
        await asyncio.sleep(5.0)
        return operation.hung

    assert run(test()) == [TIMEOUT]


def test_an_operation_that_has_ended_is_not_reported() -> None:
    async def test() -> list[float]:
        operation = Operation()
        await asyncio.sleep(0.95)
        operation.watchdog.stop()
        await asyncio.sleep(5.0)
        return operation.hung

    assert run(test()) == []


def test_progress_starts_the_timeout_anew() -> None:
    async def test() -> list[float]:
        loop = asyncio.get_running_loop()
        # Progress at 0.5 s and at 1.2 s; the checks at 0.5 s and at 1.2 s see it.
        operation = Operation(progress=lambda: sum(loop.time() > at for at in (0.45, 1.15)))
        await asyncio.sleep(5.0)
        return operation.hung

    assert run(test()) == [1.2 + TIMEOUT]


def test_a_timeout_of_zero_never_reports_and_never_asks_for_progress() -> None:
    asked: list[float] = []

    def progress() -> int:
        asked.append(asyncio.get_running_loop().time())
        return 0

    async def test() -> list[float]:
        operation = Operation(0.0, progress)
        await asyncio.sleep(5.0)
        operation.watchdog.stop()
        return operation.hung

    assert run(test()) == []
    assert asked == []


def test_time_in_which_the_whole_process_is_stopped_hardly_counts() -> None:
    async def test() -> list[float]:
        operation = Operation()
        for _ in range(9):
            advance(60.0)
            await asyncio.sleep(0.01)  # the overdue check
        assert operation.hung == []
        await asyncio.sleep(5.0)
        return operation.hung

    assert run(test()) == [9 * 60.0 + 0.18]
