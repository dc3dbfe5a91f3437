"""Event-loop lag: how late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from wyoming_faster_whisper.session.event_loop_lag import EventLoopLag

pytestmark = pytest.mark.timeout(20)


async def test_who_was_held_up_was_late_by_as_much_and_not_for_ever() -> None:
    lateness = EventLoopLag()
    time.sleep(0.7)  # noqa: ASYNC251
    assert lateness.seconds >= 0.4
    await asyncio.sleep(0)  # the overdue timer runs
    assert lateness.seconds >= 0.4
    while lateness.seconds >= 0.4:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    lateness.stop()
