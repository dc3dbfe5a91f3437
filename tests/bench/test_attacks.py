"""Hostile clients of the soak test: the server survives each of them."""

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
"""The log message that an attack causes; attacks not listed here need not be logged."""


@pytest.mark.parametrize("which", ATTACKS, ids=lambda which: which.__name__)
async def test_the_server_survives_each_attack_and_frees_its_memory(
    server: Server, which: Attack, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(3):
        await attack(which, port(server), pcm16(tone(1.0)), random.Random(seed))
    await until(lambda: not server.connections)
    assert SAID.get(which, "") in caplog.text
    assert server.memory.used == 0
    await server.serves()


async def test_idle_clients_reconnect_until_the_crowd_ends(server: Server) -> None:
    async with IdleCrowd(port(server), 20) as crowd:
        await until(lambda: server.connections == 20)
        await until(lambda: crowd.closed >= 20)
        await server.serves()
    await until(lambda: not server.connections)


def port(server: Server) -> int:
    return int(server.uri.rpartition(":")[2])
