"""When the decode time is measured again, on the event loop's clock and without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.virtual_time import run
from wyoming_faster_whisper.engine.idle_measurement import IdleMeasurement


class Begun:
    """A measurement of a ready, idle model, and the times at which it began."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.needed: Callable[[], bool] = lambda: False
        self.schedule = IdleMeasurement(
            600.0, 30.0, ready=lambda: True, busy=lambda: False, begin=self._begin
        )
        self.schedule.schedule()

    def _begin(self, needed: Callable[[], bool]) -> None:
        self.times.append(asyncio.get_running_loop().time())
        self.needed = needed


def test_each_interval_is_twice_the_last_one() -> None:
    async def measured() -> list[float]:
        begun = Begun()
        for _ in range(3):
            await asyncio.sleep(2500.0)
            begun.schedule.ended()
        return begun.times

    # The first ends at 2500 s and the second at 5000 s.
    assert run(measured()) == [600.0, 2500.0 + 1200.0, 5000.0 + 2400.0]


def test_an_interrupted_measurement_is_repeated_when_the_model_is_idle_again() -> None:
    async def measured() -> list[float]:
        begun = Begun()
        await asyncio.sleep(601.0)
        assert not begun.needed()
        begun.schedule.used()
        assert begun.needed()
        begun.schedule.ended()
        await asyncio.sleep(100.0)
        return begun.times

    assert run(measured()) == [600.0, 631.0]


def test_a_measurement_that_hung_is_over_after_the_next_load() -> None:
    async def hung() -> None:
        begun = Begun()
        await asyncio.sleep(601.0)
        assert begun.schedule.running
        begun.schedule.schedule()
        assert not begun.schedule.running

    run(hung())
