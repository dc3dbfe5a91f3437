"""No model packages, installed or not, but those that a test installs itself."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.models.packages import PACKAGED


@pytest.fixture(autouse=True)
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model packages, installed or not, but those that a test installs itself."""
    for repository in list(PACKAGED):
        monkeypatch.delitem(PACKAGED, repository)
