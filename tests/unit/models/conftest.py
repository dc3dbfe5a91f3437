"""Hides installed model packages, so that tests see only those they install themselves."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.models.packages import PACKAGED


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide all model packages; a test installs the ones it needs."""
    for repository in list(PACKAGED):
        monkeypatch.delitem(PACKAGED, repository)
