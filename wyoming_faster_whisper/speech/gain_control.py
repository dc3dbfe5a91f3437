"""Automatic gain control: raises quiet streams to a normal level for the VAD. Pure.

Silero misses quiet words below -60 dBFS. The gain follows the loudest sound so far, so the first
word sets it; louder streams pass unchanged. Whisper needs no gain control: its log-mel features
are relative to the loudest moment of the clip.
"""

from __future__ import annotations

import numpy as np

from ..audio.pcm import Samples

_TARGET = -40.0  # dBFS, RMS of the loudest window; louder streams pass unchanged
_MOST = 20.0  # maximum gain, dB
# Initial level in dBFS, and the decay of the level in dB per 32 ms window. Both keep the noise of
# a room from being amplified before the first word: in 60 recordings without speech, as recorded
# and 20 dB quieter, the VAD finds speech no more often than without gain control.
_START = -50.0
_DECAY = 0.05

_SILENCE = 1e-6  # RMS; keeps the logarithm finite


class LevelControl:
    """Automatic gain control for one stream of VAD windows. Not safe to share between threads."""

    def __init__(self) -> None:
        self._level = _START  # dBFS

    def feed(self, windows: Samples) -> Samples:
        """Amplify the next windows of the stream.

        Args:
            windows: float32, shape (n, samples), -1 to 1.

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
