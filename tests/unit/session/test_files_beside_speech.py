"""Parts of files wait for speakers, but not forever; in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.support.virtual_time import House, joined, run
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job
from wyoming_faster_whisper.testing import silence, tone

COMMAND = joined(silence(0.5), tone(3.0), silence(0.7))


async def part(house: House, *, after: float = 0.0, seconds: float = 20.0) -> float:
    """Decode a part of a file; return the time at which its decode began."""
    await asyncio.sleep(after)
    came = house.loop.time()
    job = Job(silence(seconds), DecodeOptions(language="en"), kind=DecodeKind.FILE)
    return came + (await house.worker.submit(job)).queued


def test_a_part_of_a_file_waits_until_a_command_is_answered() -> None:
    async def test() -> None:
        async with House() as house, asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(part(house, after=1.0, seconds=n)) for n in (20.0, 3.0)]
            [(answered, _)] = (await house.listen(COMMAND)).answers
            assert answered <= await parts[1] < answered + 0.1
            assert await parts[0] < answered + 0.3

    run(test())


def test_a_silent_stream_keeps_no_file_waiting() -> None:
    async def test() -> None:
        async with House() as house, asyncio.TaskGroup() as tasks:
            begun = tasks.create_task(part(house, after=50.0))
            await house.listen(silence(100.0), continuous=True)
            assert await begun == pytest.approx(50.0)

    run(test())


def test_a_command_in_a_stream_keeps_files_waiting() -> None:
    async def test() -> None:
        async with House() as house, asyncio.TaskGroup() as tasks:
            begun = tasks.create_task(part(house, after=52.0))
            await house.listen(joined(silence(51.0), tone(4.0)), continuous=True)
            assert await begun > 55.0

    run(test())


def test_a_dictation_keeps_files_waiting_no_longer_than_a_command() -> None:
    async def test() -> None:
        async with House() as house, asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(part(house, after=at)) for at in (3.0, 14.0)]
            await house.listen(tone(25.0))
            assert 10.0 <= await parts[0] < 10.3
            assert await parts[1] == pytest.approx(14.0)

    run(test())


def test_commands_of_a_television_do_not_stop_a_file() -> None:
    """A television that is on for minutes, with a sentence every four seconds."""

    async def television(house: House) -> None:
        for _ in range(60):
            await house.listen(joined(tone(3.0), silence(1.0)), chunk=6400)

    async def test() -> list[float]:
        begun = []
        async with House(lambda _: 1.0) as house, asyncio.TaskGroup() as tasks:
            watched = tasks.create_task(television(house))
            while not watched.done():
                begun.append(await part(house))
        return begun

    begun = run(test())
    gaps = [after - before for before, after in pairwise(begun)]
    assert max(gaps) <= 10.0 + 1.0  # and the command that is decoded then
    assert sum(gaps) / len(gaps) < 6.0  # most begin between two commands
