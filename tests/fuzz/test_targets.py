"""The fuzz targets without a fuzzer: on the seeds, and on chances that are the same each time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from tests.fuzz import frames, session
from tests.fuzz.conversation import AS_IT_IS, conversation, seeds
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing import FakeEngine

INPUTS = seeds() | {
    f"chance {number}": random.Random(number).randbytes(200) for number in range(40)
}


@pytest.fixture(params=session.SERVERS, ids=" ".join)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[session.Target]:
    async with session.target(*request.param) as started:
        yield started


@pytest.mark.parametrize("name", INPUTS)
def test_frames(name: str) -> None:
    frames.try_one(INPUTS[name])


async def test_sessions(target: session.Target) -> None:
    for data in INPUTS.values():
        await target.try_one(data)


async def test_a_fault_of_ours_is_found() -> None:
    def say(job: Job) -> str:
        raise KeyError("text")

    async with session.target(engine=FakeEngine(say)) as broken:
        with pytest.raises(AssertionError, match="KeyError"):
            await broken.try_one(seeds()["utterance"])


def test_an_input_can_be_sent_as_it_is() -> None:
    assert conversation(bytes([AS_IT_IS]) + b"abc") == b"abc"


def test_an_input_can_say_what_is_sent() -> None:
    sent = b'{"type": "describe", "payload_length": 0, "data": {}}\n'
    assert conversation(bytes([1, 6, 0])) == sent
