"""No test may block the event loop, in this process or in a server process that it starts."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.blocking import REPORT, SITE, block_buster
from tests.support.short_stacks import keep_short_stacks

TESTS = Path(__file__).parent
SLOW = (TESTS / "model", TESTS / "e2e")
"""Folders with the slowest files, which run first."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Pause the garbage collector while tests are collected, and exempt them from its later runs.

    Collected tests are half a million objects, which live until the end.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first, so that the processes end at about the same time."""

    def place(item: pytest.Item) -> int:
        return next((at for at, one in enumerate(SLOW) if one in item.path.parents), len(SLOW))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def short_stacks() -> Iterator[None]:
    """Let asyncio's debug mode keep short stacks."""
    with pytest.MonkeyPatch.context() as patch:
        keep_short_stacks(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def blocking_calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Activate BlockBuster here and in child processes; return the file with blocking calls."""
    report = tmp_path_factory.mktemp("blocking") / "calls"
    report.touch()
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv(REPORT, str(report))
        environ.setenv("PYTHONPATH", str(SITE), prepend=os.pathsep)
        # Else each server process compiles the package again, which takes a third of its start.
        environ.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        buster = block_buster()
        buster.activate()
        yield report
        buster.deactivate()


@pytest.fixture(autouse=True)
def no_blocking(blocking_calls: Path) -> Iterator[None]:
    """A blocking call of the server in the event loop fails the test."""
    yield
    if blocking_calls.stat().st_size:
        calls = blocking_calls.read_text()
        blocking_calls.write_text("")
        pytest.fail(calls, pytrace=False)
