"""Real models, in this process or in a server that all tests of a module share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.processes import TINY, Process
from tests.support.serving import Speaker
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.engine.whisper.weights import load_model
from wyoming_faster_whisper.models import choose, locate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiny_en(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A server with tiny.en from its package."""
    options = ("--uri", "tcp://127.0.0.1:0", *TINY)
    async with Process.started(*options, folder=tmp_path_factory.mktemp("data")) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="module")
async def client(tiny_en: Process) -> AsyncIterator[Speaker]:
    """A client of this server, with a timeout long enough for a busy machine."""
    async with tiny_en.client() as connected:
        connected.client.read_timeout = 60.0
        yield connected


@contextmanager
def loaded(name: str, folder: Path) -> Iterator[WhisperEngine]:
    """Load a model from its package, with one thread.

    Args:
        folder: where files in several parts are joined.
    """
    directory = locate(choose(name, [folder]), folder, local_files_only=True)
    model = load_model(directory, device="cpu", compute_type="int8", threads=1)
    yield WhisperEngine(
        CTranslate2Whisper(model, directory / "tokenizer.json"), calibrations=Calibrations(name)
    )
    model.unload_model()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperEngine]:
    """The engine with base, whose short window for English makes it faster than tiny.en."""
    with loaded("base", tmp_path_factory.mktemp("models")) as model:
        yield model
