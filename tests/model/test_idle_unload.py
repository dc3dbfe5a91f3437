"""Idle unload of a real model: its memory is freed, and it works again after the reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clips import CLIPS
from tests.support.processes import TINY, Process

pytestmark = pytest.mark.model


def resident(process: Process) -> float:
    """Return the resident memory of the process in MB."""
    statm = Path(f"/proc/{process.process.pid}/statm").read_text().split()
    return int(statm[1]) * 4096 / 1e6


async def test_an_idle_model_frees_its_memory_and_works_after_a_reload(tmp_path: Path) -> None:
    options = ("--uri", "tcp://127.0.0.1:0", *TINY, "--unload-after", "0.5")
    memory_loaded, memory_unloaded = [], []
    async with Process.started(*options, folder=tmp_path) as process:
        for unloads in range(1, 4):
            async with process.client() as client:
                client.client.read_timeout = 60.0
                await client.say(CLIPS["lights"].samples)
                assert CLIPS["lights"].heard_in(await client.transcript())
                memory_loaded.append(resident(process))
            await process.logged(rf"(?s)(Model tiny\.en unloaded.*){{{unloads}}}")
            memory_unloaded.append(resident(process))
    # The weights of tiny.en are 40 MB as int8.
    assert all(
        before - after > 30 for before, after in zip(memory_loaded, memory_unloaded, strict=True)
    )
    assert memory_unloaded[-1] < 1.1 * memory_unloaded[0]
