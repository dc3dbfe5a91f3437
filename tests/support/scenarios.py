"""Tests that run in a child process in a container, see container.py.

A module with such tests calls run_scenario() if it is the main module.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest

from wyoming_faster_whisper.models import choose, locate

from .container import enter, why_not
from .dockerfile import ROOT, Stage, read
from .installed_image import install
from .processes import NO_HUB, Process

AUDIOOP = "ignore:'audioop' is deprecated:DeprecationWarning"  # from the wyoming library

Scenario = Callable[[], Coroutine[None, None, None]]
Test = Callable[[Path, pytest.TempPathFactory], None]
SCENARIOS: dict[str, Scenario] = {}


def in_container(
    *,
    user: int,
    prepare: Callable[[Path], None],
    volume: str = "/data",
    mounts: Callable[[Path], Mapping[str, Path]] = lambda _: {},
) -> Callable[[Scenario], Test]:
    """Make a test that runs a scenario in a container.

    Args:
        prepare: fills the folders "data" and "etc" of a given folder.
        volume: where the folder "data" is mounted in the container.
        mounts: returns what else is mounted of the given folder: see enter().
    """

    def decorate(scenario: Scenario) -> Test:
        SCENARIOS[scenario.__name__] = scenario

        def test(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
            if reason := why_not(tmp_path_factory.getbasetemp() / "trial"):
                pytest.skip(reason)
            for folder in ("data", "etc"):
                (tmp_path / folder).mkdir()
            prepare(tmp_path)
            result = enter(
                *("env", f"PYTHONPATH={ROOT}", sys.executable, "-W", "error", "-W", AUDIOOP),
                *("-m", scenario.__module__, scenario.__name__),
                scratch=tmp_path,
                user=user,
                volume=volume,
                mounts=mounts(tmp_path),
                server=installed(tmp_path_factory.getbasetemp() / "image"),
            )
            assert result.returncode == 0, result.stdout + result.stderr

        return test

    return decorate


@cache
def installed(scratch: Path) -> Path:
    """Install what the image has in /opt/server; return the folder."""
    return install(read(ROOT / "Dockerfile")[0], scratch)


def put_tiny_en_in_volume(folder: Path) -> None:
    """Create the model in the Hugging Face cache layout, as the reference server stores it."""
    repository = "models--Systran--faster-whisper-tiny.en"
    snapshot = folder / "data" / repository / "snapshots" / "0d3d19a3"
    snapshot.mkdir(parents=True)
    (folder / "data" / repository / "refs").mkdir()
    (folder / "data" / repository / "refs" / "main").write_text(snapshot.name)
    for file in locate(choose("tiny.en", []), folder).iterdir():
        (snapshot / file.name).symlink_to(file)


@asynccontextmanager
async def started(image: Stage, command: list[str], **environ: str) -> AsyncIterator[Process]:
    """Run a command as Docker would, with the environment of the image."""
    environ = {**image.environment, **environ, **image_paths()}
    async with Process.started(
        folder=Path("/nowhere"), command=command, HF_ENDPOINT=NO_HUB, **environ
    ) as process:
        yield process


def image_paths() -> dict[str, str]:
    """Return the search paths of the image, without those of the tests."""
    return {"PATH": f"/opt/server/bin:{os.environ['PATH']}", "PYTHONPATH": ""}


def run_scenario() -> None:
    """Run the scenario that the command line names."""
    asyncio.run(SCENARIOS[sys.argv[1]]())
