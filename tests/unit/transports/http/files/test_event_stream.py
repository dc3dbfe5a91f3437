"""Server-sent events: some clients read each piece of the body as one event."""

from __future__ import annotations

import asyncio

from starlette.types import Message

from tests.support.sse import events
from tests.support.virtual_time import run
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.files.event_stream import EventStream


class Sent:
    """The messages of a response."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def bodies(self) -> list[bytes]:
        return [one["body"] for one in self.messages if one["type"] == "http.response.body"]


def test_each_event_is_a_write_of_its_own() -> None:
    async def test() -> Sent:
        sent = Sent()
        stream = EventStream(sent)
        await stream.delta("Turn on\n\n")
        await stream.delta(" the lights.")
        await stream.fail(ApiError(503, "the server is stopping"))
        return sent

    sent = run(test())
    *written, last = sent.bodies
    assert [len(events(each)) for each in written] == [1] * 4
    assert b"".join(written).endswith(b"data: [DONE]\n\n")
    assert last == b""
    assert sent.messages[0]["status"] == 200


def test_a_silent_stream_sends_comments() -> None:
    async def test() -> Sent:
        sent = Sent()
        async with EventStream(sent).kept_alive():
            await asyncio.sleep(25.0)
        return sent

    assert run(test()).bodies == [b": ping\n\n"] * 2
