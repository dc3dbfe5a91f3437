from __future__ import annotations

import asyncio

import pytest

from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.session.session import AudioMemory
from wyoming_faster_whisper.transports.mqtt.inbox import Frames, Inbox


def inbox(limit: int = 100, memory: int = 1_000_000) -> tuple[Inbox[str], AudioMemory]:
    budget = AudioMemory(limit=memory)
    return Inbox(budget, limit), budget


async def test_frames_between_control_messages_are_taken_together() -> None:
    box, memory = inbox()
    box.put("start")
    for frame in (b"aa", b"b", b"c"):
        box.put_frame(frame)
    box.put("stop")
    box.put_frame(b"d")
    taken = [await box.take() for _ in range(4)]
    assert taken == ["start", Frames((b"aa", b"b", b"c"), 4), "stop", Frames((b"d",), 1)]
    assert memory.used == 0


async def test_the_oldest_audio_is_dropped_and_no_control_message() -> None:
    box, memory = inbox(limit=10)
    for number in range(5):
        box.put(f"control {number}")
        box.put_frame(bytes([number]) * 4)
    assert box.dropped == 3
    assert memory.used == 8
    taken = [await box.take() for _ in range(7)]
    controls = [each for each in taken if isinstance(each, str)]
    assert controls == [f"control {number}" for number in range(5)]
    assert Frames((bytes([4]) * 4,), 4) in taken


async def test_a_frame_larger_than_the_limit_leaves_nothing() -> None:
    box, memory = inbox(limit=10)
    box.put_frame(bytes(11))
    assert (box.dropped, memory.used) == (1, 0)
    box.put("stop")
    assert await box.take() == "stop"


async def test_audio_beyond_the_memory_for_all_clients_is_dropped() -> None:
    box, memory = inbox(memory=10)
    box.put_frame(bytes(8))
    box.put_frame(bytes(8))
    assert (box.dropped, memory.used) == (1, 8)


async def test_too_many_control_messages_are_an_error() -> None:
    box, _ = inbox()
    for number in range(64):
        box.put(str(number))
    with pytest.raises(Busy):
        box.put("one more")


async def test_taking_waits_for_a_message() -> None:
    box, _ = inbox()
    taking = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    assert not taking.done()
    box.put("start")
    assert await taking == "start"


async def test_a_control_message_ends_a_pause() -> None:
    box, _ = inbox()
    box.put_frame(b"a")
    pausing = asyncio.create_task(box.pause(1000))
    await asyncio.sleep(0)
    assert not pausing.done()
    box.put("stop")
    await pausing


async def test_closing_returns_control_messages_and_frees_the_audio() -> None:
    box, memory = inbox()
    box.put_frame(b"a")
    box.put("start")
    box.put_frame(b"b")
    assert box.close() == ["start"]
    assert memory.used == 0
