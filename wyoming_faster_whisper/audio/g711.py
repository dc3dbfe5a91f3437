"""G.711: telephone audio, 8 kHz with 8 bits per sample, μ-law or A-law. Pure.

ITU-T G.711. Python's audioop did this until 3.12.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RATE = 8_000
"""Samples per second."""

_BIAS = 0x84  # of μ-law, on the 16-bit scale


def decode_ulaw(data: bytes) -> bytes:
    """Convert μ-law to 16-bit little-endian PCM."""
    return _ULAW[np.frombuffer(data, np.uint8)].tobytes()


def decode_alaw(data: bytes) -> bytes:
    """Convert A-law to 16-bit little-endian PCM."""
    return _ALAW[np.frombuffer(data, np.uint8)].tobytes()


def _ulaw_table() -> npt.NDArray[np.int16]:
    """Return the sample that each μ-law byte stands for."""
    code = ~np.arange(256) & 0xFF  # sent inverted
    exponent, mantissa = code >> 4 & 7, code & 0xF
    magnitude = ((mantissa << 3) + _BIAS << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


def _alaw_table() -> npt.NDArray[np.int16]:
    """Return the sample that each A-law byte stands for."""
    code = np.arange(256) ^ 0x55  # sent with every other bit inverted
    exponent, mantissa = code >> 4 & 7, code & 0xF
    linear = (mantissa << 4) + 8
    magnitude = np.where(exponent, linear + 0x100 << np.maximum(exponent - 1, 0), linear)
    return np.where(code & 0x80, magnitude, -magnitude).astype("<i2")


_ULAW = _ulaw_table()
_ALAW = _alaw_table()
