"""What holds for every test: nobody blocks the event loop."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def no_blocking(request: pytest.FixtureRequest) -> Iterator[None]:
    """A blocking call of ours on the event loop fails the test."""
    if not inspect.iscoroutinefunction(request.function):
        yield
        return
    with blockbuster_ctx("wyoming_faster_whisper") as blocking:
        # /proc is read from memory.
        read = blocking.functions["io.TextIOWrapper.read"]
        read.can_block_in("wyoming_faster_whisper/hardware.py", {"bytes_moved"})
        yield
