"""Router: several models that are unloaded and reloaded together."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.router import Router
from wyoming_faster_whisper.errors import NoMemory
from wyoming_faster_whisper.testing import FakeEngine


class Large(FakeEngine):
    def load(self) -> None:
        raise NoMemory("there is no room")


def test_either_all_models_are_reloaded_or_none() -> None:
    small, large = FakeEngine(), Large()
    engines = Router({"tiny": small, "base": large})
    engines.unload()
    with pytest.raises(NoMemory):
        engines.load()
    assert small.unloaded.is_set()
