"""The hostile clients of the soak: each does its worst, and the server goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.support.attacks import (
    ATTACKS,
    Attack,
    IdleCrowd,
    attack,
    changing_formats,
    garbage,
    half_a_header,
    never_reading,
    promise_of_much,
    trickling,
)
from tests.support.serving import Server, serving, until
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.testing import pcm16, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits

SOON = ClientLimits(
    first_event=0.3, between_utterances=0.3, inside_utterance=0.3, write=0.3, linger=0.1
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    flags = ["--uri=tcp://127.0.0.1:0", "--model=base"]
    settings = (await asyncio.to_thread(read_settings, flags, {})).settings
    async with serving(settings, tmp_path, limits=SOON) as started:
        yield started


SAID: dict[Attack, str] = {
    garbage: "is not JSON",
    half_a_header: "no complete event received",
    promise_of_much: "the limit is",
    never_reading: "did not read",
    trickling: "no complete event received",
    changing_formats: "the audio format changed",
}
"""What the log has of each; of those that are not here it need not say anything."""


@pytest.mark.parametrize("which", ATTACKS, ids=lambda which: which.__name__)
async def test_an_attack_is_what_it_says_and_leaves_nothing(
    server: Server, which: Attack, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(3):
        await attack(which, port(server), pcm16(tone(1.0)), random.Random(seed))
    await until(lambda: not server.connections)
    assert SAID.get(which, "") in caplog.text
    assert server.memory.used == 0
    await server.serves()


async def test_the_idle_are_there_until_they_are_left(server: Server) -> None:
    async with IdleCrowd(port(server), 20) as crowd:
        await until(lambda: server.connections == 20)
        await until(lambda: crowd.closed >= 20)
        await server.serves()
    await until(lambda: not server.connections)


def port(server: Server) -> int:
    return int(server.uri.rpartition(":")[2])
