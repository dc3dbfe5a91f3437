"""Makes every test fail if our code blocks the event loop."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx


@pytest.fixture(autouse=True)
def no_blocking(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test if our code makes a blocking call on the event loop."""
    if not inspect.iscoroutinefunction(request.function):
        yield
        return
    with blockbuster_ctx("wyoming_faster_whisper") as blocking:
        # Allowed: reading /proc does not wait for a disk.
        read = blocking.functions["io.TextIOWrapper.read"]
        read.can_block_in("wyoming_faster_whisper/hardware.py", {"bytes_moved"})
        yield
