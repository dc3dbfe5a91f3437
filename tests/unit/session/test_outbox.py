"""Events of a session on their way to the client: order, delivery, end."""

from __future__ import annotations

import asyncio

from wyoming_faster_whisper.session.events import PartialText
from wyoming_faster_whisper.session.outbox import Outbox

FIRST, SECOND = PartialText("Turn on"), PartialText(" the light.")


def delivery() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def test_events_keep_their_order_and_end_after_the_close() -> None:
    outbox = Outbox()
    outbox.put(FIRST)
    outbox.put(SECOND)
    outbox.close()
    assert [event async for event in outbox.events()] == [FIRST, SECOND]


async def test_an_event_is_delivered_when_the_next_one_is_requested() -> None:
    outbox, delivered = Outbox(), delivery()
    outbox.put(FIRST, delivered)
    outbox.put(SECOND)
    events = outbox.events()
    assert await anext(events) == FIRST
    assert not delivered.done()
    assert await anext(events) == SECOND
    assert delivered.done()


async def test_an_answer_that_was_given_up_meanwhile_is_no_error() -> None:
    outbox, delivered = Outbox(), delivery()
    outbox.put(FIRST, delivered)
    outbox.close()
    events = outbox.events()
    await anext(events)
    delivered.cancel()
    assert [event async for event in events] == []


async def test_it_is_empty_once_the_last_event_has_been_delivered() -> None:
    outbox = Outbox()
    await outbox.emptied()  # at once
    outbox.put(FIRST)
    events = outbox.events()
    await anext(events)
    emptied = asyncio.ensure_future(outbox.emptied())
    await asyncio.sleep(0)
    assert not emptied.done()
    following = asyncio.ensure_future(anext(events))
    await emptied
    outbox.put(SECOND)
    assert await following == SECOND
