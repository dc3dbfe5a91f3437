"""The fuzz targets without a fuzzer, with the seeds and reproducible random inputs."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from tests.fuzz import frames, session
from tests.fuzz.conversation import RAW, conversation, seeds
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing import FakeEngine

INPUTS = seeds() | {
    f"random {number}": random.Random(number).randbytes(200) for number in range(40)
}


@pytest.fixture(params=session.SERVERS, ids=" ".join)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[session.Target]:
    async with session.target(*request.param) as started:
        yield started


@pytest.mark.parametrize("name", INPUTS)
def test_the_framing_survives_the_input(name: str) -> None:
    frames.try_one(INPUTS[name])


async def test_the_server_survives_all_inputs(target: session.Target) -> None:
    for data in INPUTS.values():
        await target.try_one(data)


async def test_an_internal_error_is_detected() -> None:
    def say(job: Job) -> str:
        raise KeyError("text")

    async with session.target(engine=FakeEngine(say)) as broken:
        with pytest.raises(AssertionError, match="KeyError"):
            await broken.try_one(seeds()["utterance"])


def test_an_input_can_be_sent_unchanged() -> None:
    assert conversation(bytes([RAW]) + b"abc") == b"abc"


def test_an_input_can_select_events() -> None:
    sent = b'{"type": "describe", "payload_length": 0, "data": {}}\n'
    assert conversation(bytes([1, 6, 0])) == sent
