"""Event-loop lag: how late the event loop is."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.virtual_time import House, VirtualLoop, advance, joined, run
from wyoming_faster_whisper.session.event_loop_lag import EventLoopLag
from wyoming_faster_whisper.speech.endpointing import TurnRules
from wyoming_faster_whisper.testing import silence, tone


def virtual_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_a_blocked_event_loop_shows_as_lag_until_it_has_caught_up() -> None:
    async def go() -> None:
        lag = EventLoopLag()
        lag.start("turn")
        assert lag.seconds == 0
        await asyncio.sleep(0.1)
        advance(0.7)
        assert lag.seconds == pytest.approx(0.6)
        await asyncio.sleep(0)  # the overdue timer runs
        assert lag.seconds == pytest.approx(0.6)
        await asyncio.sleep(0.59)
        assert lag.seconds == pytest.approx(0.6)
        await asyncio.sleep(0.02)
        assert lag.seconds == 0
        lag.stop("turn")

    run(go())


def test_many_turns_share_one_timer_and_without_a_turn_there_is_none() -> None:
    async def go() -> None:
        lag, loop = EventLoopLag(), virtual_loop()
        for number in range(10):
            lag.start(number)
        await asyncio.sleep(0.5)
        assert loop.timers() == 1
        for number in range(9):
            lag.stop(number)
            lag.stop(number)  # a turn is stopped, then closed
        await asyncio.sleep(0.5)
        assert loop.timers() == 1
        advance(0.7)
        assert lag.seconds >= 0.5  # still measured for the last one
        lag.stop(9)
        assert loop.timers() == 0

    run(go())


def test_time_without_a_turn_does_not_count_as_lag() -> None:
    async def go() -> None:
        lag = EventLoopLag()
        lag.start("turn")
        lag.stop("turn")
        await asyncio.sleep(60)
        lag.start("another")
        assert lag.seconds == 0
        lag.stop("another")

    run(go())


@pytest.mark.parametrize(
    "turns", [TurnRules(), TurnRules(min_silence=0.5)], ids=["the client", "the server"]
)
def test_a_turn_that_has_ended_leaves_no_timer(turns: TurnRules) -> None:
    async def go() -> None:
        async with House(event_loop_lag=EventLoopLag(), turns=turns) as house:
            before = house.loop.timers()
            command = joined(tone(1.5), silence(0.7))
            await asyncio.gather(*(house.listen(command, begin=0.1 * n) for n in range(5)))
            assert house.loop.timers() == before

    run(go())
