"""Watchdog: detects an operation that stopped making progress."""

from __future__ import annotations

import asyncio
import time

import pytest

from wyoming_faster_whisper.engine.watchdog import Watchdog

pytestmark = pytest.mark.timeout(20)

SOON = 0.05  # seconds


async def test_a_hung_operation_is_reported_once() -> None:
    told: list[bool] = []
    stuck = asyncio.Event()

    def tell() -> None:
        told.append(True)
        stuck.set()

    Watchdog(SOON, tell)
    await stuck.wait()
    await passed(2 * SOON)
    assert told == [True]


async def test_a_finished_operation_is_not_reported() -> None:
    told: list[bool] = []
    watch = Watchdog(SOON, lambda: told.append(True))
    watch.stop()
    await passed(2 * SOON)
    assert told == []


async def test_a_timeout_of_zero_disables_the_watchdog() -> None:
    told: list[bool] = []
    Watchdog(0, lambda: told.append(True), lambda: told.append(False))
    await passed(SOON)
    assert told == []


async def test_time_in_which_the_event_loop_was_blocked_does_not_count() -> None:
    told: list[bool] = []
    watch = Watchdog(SOON, lambda: told.append(True))
    for _ in range(3):
        time.sleep(2 * SOON)  # noqa: ASYNC251
        await asyncio.sleep(0)
    assert told == []
    watch.stop()


async def passed(seconds: float) -> None:
    """Wait with a timer of the event loop, as the watchdog does."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, done.set_result, None)
    await done
