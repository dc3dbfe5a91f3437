"""A server that is attacked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.attacks import SMALL, unharmed
from tests.support.serving import Server

from ..conftest import Serve


@pytest.fixture
async def target(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Server]:
    """A server with small limits, which has to survive the test unharmed."""
    server = await serve(**SMALL)
    async with unharmed(server, tmp_path, caplog):
        yield server
