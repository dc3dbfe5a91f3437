"""Fakes and sounds for tests, ours and those of people who build on this package.

The fakes are real classes with the real interfaces; nothing is patched. home_assistant.py has a
fake Home Assistant; it needs the extra `hass`.
"""

from .fakes import FakeEngine, FakeMicrophone, LoudnessVad
from .sounds import pcm16, silence, tone

__all__ = ["FakeEngine", "FakeMicrophone", "LoudnessVad", "pcm16", "silence", "tone"]
