"""A newer snapshot of a Whisper model in the hub's cache, while the model serves."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.app.recognizers import choose_recognizer, loaders_of
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.models import choose, locate

pytestmark = [pytest.mark.model, pytest.mark.timeout(120)]


class Cache:
    """The hub's cache, with one model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = locate(choose("tiny.en", []), folder)
        self._model = folder / "models--owner--whisper-tiny.en"

    def download(self, revision: str) -> None:
        snapshot = self._model / "snapshots" / revision
        snapshot.mkdir(parents=True)
        (self._model / "refs").mkdir(exist_ok=True)
        (self._model / "refs" / "main").write_text(revision, encoding="utf-8")
        for file in self._files.iterdir():
            (snapshot / file.name).symlink_to(file)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    cache = Cache(tmp_path)
    cache.download("1")
    return cache


@pytest.mark.parametrize("library", ["faster-whisper", "onnx-whisper"])
async def test_utterances_are_decoded_before_during_and_after_it(
    library: str, cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings(
        model=("owner/whisper-tiny.en",),
        stt_library=library,
        local_files_only=True,
        cpu_threads=1,
        max_batch=1,  # a short warm-up
    )
    choose = partial(choose_recognizer, settings, [cache.folder], loaded=lambda: None)
    worker = Worker(loaders_of(await asyncio.to_thread(choose)), Timing(check_files=0.05))
    worker.start()
    await worker.ready()
    clip = CLIPS["lights"]

    async def text() -> str:
        job = Job(clip.samples, DecodeOptions(language="en"), quick=True)
        return (await worker.submit(job)).text

    assert clip.heard_in(await text())
    await asyncio.to_thread(cache.download, "2")
    async with asyncio.timeout(60):
        while "switched to its new files" not in caplog.text:
            assert clip.heard_in(await text())
    assert clip.heard_in(await text())
    await worker.close()
