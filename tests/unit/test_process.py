"""First steps of the commands."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from wyoming_faster_whisper.process import allow_many_files

FILES = resource.RLIMIT_NOFILE


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard limit of open files; the soft one is restored after the test."""
    before = resource.getrlimit(FILES)
    yield before[1]
    resource.setrlimit(FILES, before)


def test_the_server_may_open_many_files(hard: int) -> None:
    resource.setrlimit(FILES, (256, hard))
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    assert allow_many_files() == most
    assert resource.getrlimit(FILES) == (most, hard)


def test_a_higher_limit_stays(hard: int) -> None:
    high = 70_000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(FILES, (high, hard))
    assert allow_many_files() == high
    assert resource.getrlimit(FILES)[0] == high
