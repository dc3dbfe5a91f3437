"""Hung load of a real model: CTranslate2 blocks while it reads a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.processes import Process
from wyoming_faster_whisper.models import choose, locate

pytestmark = pytest.mark.model


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    """Create a model folder in which reading one file blocks forever."""
    whole = locate(choose("tiny.en", [tmp_path]), tmp_path, local_files_only=True)
    stuck = tmp_path / "stuck"
    stuck.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (stuck / name).symlink_to(whole / name)
    os.mkfifo(stuck / "vocabulary.txt")  # without a writer, so opening it blocks
    return stuck


async def test_a_load_that_blocks_on_a_file_ends_the_server(stuck: Path, tmp_path: Path) -> None:
    options = ("--uri", "tcp://127.0.0.1:0", "--model", str(stuck), "--load-timeout", "1")
    async with Process.started(*options, folder=tmp_path) as process:
        assert await process.ended() == 1
    assert "loading the model made no progress for 1 s; abandoning it" in process.log
    assert process.log.splitlines()[-1].startswith(
        "error: loading the model made no progress for 1 s"
    )
