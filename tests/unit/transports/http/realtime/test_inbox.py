"""Messages that wait for the session: their order, their memory and their limit."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.tasks import settled
from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.session.session import AudioMemory
from wyoming_faster_whisper.transports.http.realtime.client_messages import APPEND, Message
from wyoming_faster_whisper.transports.http.realtime.inbox import Inbox


def message(size: int, name: str = "") -> Message:
    return Message(APPEND, name, {}, size, bytes(size))


async def test_messages_are_taken_in_order() -> None:
    inbox = Inbox(AudioMemory(), 100)
    for name in "abc":
        await inbox.put(message(10, name))
    assert [(await inbox.take()).event_id for _ in range(3)] == ["a", "b", "c"]


async def test_beyond_the_limit_the_client_waits() -> None:
    inbox = Inbox(AudioMemory(), 100)
    await inbox.put(message(60, "a"))
    waiting = asyncio.create_task(inbox.put(message(60, "b")))
    await settled()
    assert not waiting.done()
    await inbox.take()
    await waiting


async def test_a_message_over_the_limit_goes_alone() -> None:
    inbox = Inbox(AudioMemory(), 100)
    await inbox.put(message(500, "a"))
    waiting = asyncio.create_task(inbox.put(message(1, "b")))
    await settled()
    assert not waiting.done()
    await inbox.take()
    await waiting


async def test_it_is_busy_until_the_session_has_taken_the_message() -> None:
    inbox = Inbox(AudioMemory(), 100)
    assert not inbox.busy
    await inbox.put(message(10))
    assert inbox.busy
    await inbox.take()
    assert inbox.busy
    inbox.taken()
    assert not inbox.busy


async def test_what_waits_counts_as_audio_in_memory() -> None:
    memory = AudioMemory(limit=100)
    inbox = Inbox(memory, 1000)
    await inbox.put(message(60))
    assert memory.used == 60
    with pytest.raises(Busy):
        await inbox.put(message(60))
    inbox.close()
    assert memory.used == 0
    assert not inbox.busy


async def test_taking_a_message_frees_its_memory() -> None:
    memory = AudioMemory()
    inbox = Inbox(memory, 1000)
    await inbox.put(message(7))
    await inbox.take()
    assert memory.used == 0
