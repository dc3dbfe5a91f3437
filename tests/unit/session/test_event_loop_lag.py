"""Event-loop lag: how late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from wyoming_faster_whisper.session.event_loop_lag import EventLoopLag

pytestmark = pytest.mark.timeout(20)


async def test_a_blocked_event_loop_shows_as_lag_until_it_has_caught_up() -> None:
    lateness = EventLoopLag()
    time.sleep(0.7)  # noqa: ASYNC251
    assert lateness.seconds >= 0.4
    await asyncio.sleep(0)  # the overdue timer runs
    assert lateness.seconds >= 0.4
    while lateness.seconds >= 0.4:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    lateness.stop()
