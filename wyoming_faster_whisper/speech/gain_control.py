"""Brings quiet streams to a usual level for the voice activity detector. Pure.

Silero misses quiet words below -60 dBFS. The gain follows the loudest sound so far, so it is
settled by the first word; louder streams pass unchanged. The model needs none of this: its
log-mel features are relative to the loudest moment.
"""

from __future__ import annotations

import numpy as np

from ..audio.pcm import Samples

_TARGET = -40.0  # dBFS, RMS of the loudest window; streams above it are left alone
_MOST = 20.0  # dB of gain
# The level of a stream that has just begun, and how fast the level falls, in dB and dB per
# 32 ms window. Both keep a room from being amplified before anyone has spoken: of 60
# recordings without speech, as recorded and 20 dB quieter, no more seem to hold speech.
_START = -50.0
_DECAY = 0.05

_SILENCE = 1e-6  # RMS; keeps the logarithm finite


class LevelControl:
    """Automatic gain for one stream of detector windows."""

    def __init__(self) -> None:
        self._level = _START  # dBFS

    def feed(self, windows: Samples) -> Samples:
        """Amplify the next windows of the stream.

        Args:
            windows: shape (n, samples).

        Returns:
            The same shape, clipped to -1 to 1.
        """
        loudness = 20 * np.log10(np.sqrt(np.mean(windows**2, axis=1)) + _SILENCE)
        gains = np.empty(len(windows), np.float32)
        for number, level in enumerate(loudness.tolist()):
            self._level = max(self._level - _DECAY, level)
            gains[number] = min(_MOST, max(0.0, _TARGET - self._level))
        if not gains.any():
            return windows
        amplified: Samples = np.clip(windows * 10 ** (gains / 20)[:, np.newaxis], -1, 1)
        return amplified
