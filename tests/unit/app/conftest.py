"""A machine whose memory and packages do not depend on where the tests run."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wyoming_faster_whisper.hardware.available_memory", lambda: 8000.0)
    monkeypatch.setattr("wyoming_faster_whisper.hardware.is_arm", lambda: False)
    monkeypatch.setattr("wyoming_faster_whisper.models.packages.PACKAGED", {})
