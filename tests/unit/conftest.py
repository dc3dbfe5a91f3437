"""A unit test does not sleep, start a process or use the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_FORBIDDEN = {
    *("time.sleep", "subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"),
    *("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"),
}
_seen: list[str] | None = None  # forbidden calls of the running unit test, None between tests


def _audit(event: str, args: tuple[object, ...]) -> None:
    # time.sleep(0) only lets other threads run.
    if event in _FORBIDDEN and _seen is not None and args != (0,):
        _seen.append(event)


sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Fail a test that sleeps, starts a process or uses the network."""
    global _seen
    seen: list[str] = []
    _seen = seen
    yield
    _seen = None
    assert seen == [], "this belongs to tests/e2e"
