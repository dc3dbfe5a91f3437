"""Sounds for tests."""

from __future__ import annotations

import numpy as np

from ..audio.pcm import SAMPLE_RATE, Samples


def tone(seconds: float, *, hertz: float = 440.0, rate: int = SAMPLE_RATE) -> Samples:
    """A sine at half of full scale."""
    at = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def silence(seconds: float, *, rate: int = SAMPLE_RATE) -> Samples:
    """Digital zero."""
    return np.zeros(round(seconds * rate), np.float32)


def pcm16(samples: Samples) -> bytes:
    """Samples as Home Assistant sends them: 16-bit little-endian."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()
