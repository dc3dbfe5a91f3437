"""Recorded commands over the realtime API, all at once in one stream, with a real model."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from tests.support.clips import CLIPS
from tests.support.processes import BASE, Process
from tests.support.realtime import TRANSCRIPTION, talker
from wyoming_faster_whisper.testing import silence

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

SAID = [CLIPS[name] for name in ("kitchen", "timer", "blinds")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    options = ("--uri", "tcp://127.0.0.1:0", *BASE, "--http-port", "0")
    async with Process.started(*options, folder=tmp_path_factory.mktemp("data")) as server:
        await server.ready()
        yield (await server.logged(r"API at (\S+);"))[1]


@pytest.mark.parametrize(
    "turn_detection",
    [{"type": "server_vad"}, {"type": "semantic_vad", "eagerness": "high"}],
    ids=lambda wanted: str(wanted["type"]),
)
async def test_three_commands_in_one_stream_are_three_transcripts(
    url: str, turn_detection: dict[str, str]
) -> None:
    stream = [silence(0.5)]
    for said in SAID:
        stream += [said.samples, silence(1.5)]
    async with talker(url) as client:
        await client.receive("session.created")
        await client.configure(
            format={"type": "audio/pcm", "rate": 16_000}, turn_detection=turn_detection
        )
        await client.append(np.concatenate(stream), chunk=10_000_000)
        messages = []
        for _ in SAID:
            messages += await client.until(f"{TRANSCRIPTION}.completed")
    texts = [each["transcript"] for each in messages if "transcript" in each]
    for said, text in zip(SAID, texts, strict=True):
        assert said.heard_in(text), texts
