"""Fakes and test signals, for this package's tests and for those of packages that use it.

The fakes are real classes with the real interfaces; nothing is patched. Not imported here are
home_assistant.py, whose fake Home Assistant needs the extra `hass`, acoustic_model.py, whose fake
model needs the Whisper engine, and decode_server.py, whose fake decode server needs serving/.
"""

from ..audio.pcm import to_pcm16 as pcm16
from .fakes import FakeEngine, FakeMicrophone, LoudnessVad
from .sounds import silence, tone

__all__ = ["FakeEngine", "FakeMicrophone", "LoudnessVad", "pcm16", "silence", "tone"]
