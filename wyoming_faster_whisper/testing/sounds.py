"""Test signals."""

from __future__ import annotations

import numpy as np

from ..audio.pcm import SAMPLE_RATE, Samples


def tone(seconds: float, *, hertz: float = 440.0, rate: int = SAMPLE_RATE) -> Samples:
    """Return a sine at half of full scale."""
    at = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def silence(seconds: float, *, rate: int = SAMPLE_RATE) -> Samples:
    """Return digital silence."""
    return np.zeros(round(seconds * rate), np.float32)
