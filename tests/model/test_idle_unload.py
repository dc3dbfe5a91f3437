"""A real model that sleeps: its memory is free meanwhile, and it hears as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clips import CLIPS
from tests.support.processes import Process

pytestmark = pytest.mark.model


def resident(process: Process) -> float:
    """MB of the process that are in memory."""
    statm = Path(f"/proc/{process.process.pid}/statm").read_text().split()
    return int(statm[1]) * 4096 / 1e6


async def test_a_model_that_sleeps_gives_its_memory_back(tmp_path: Path) -> None:
    options = ("--uri", "tcp://127.0.0.1:0", "--model", "tiny.en", "--unload-after", "0.5")
    awake, asleep = [], []
    async with Process.started(*options, folder=tmp_path) as process:
        for nap in range(1, 4):
            async with process.client() as client:
                client.client.read_timeout = 60.0
                await client.say(CLIPS["lights"].samples)
                assert CLIPS["lights"].heard_in(await client.transcript())
                awake.append(resident(process))
            await process.logged(rf"(?s)(Model unloaded.*){{{nap}}}")
            asleep.append(resident(process))
    # The weights of tiny.en are 40 MB as int8.
    assert all(before - after > 30 for before, after in zip(awake, asleep, strict=True))
    assert asleep[-1] < 1.1 * asleep[0]
