"""Automatic gain control: raises quiet streams to a normal level for the VAD. Pure.

Silero misses quiet words below -60 dBFS. The gain follows the loudest sound so far, so the first
word sets it; louder streams pass unchanged. A stream whose loudest sound hardly exceeds its noise
floor is an empty room and is not amplified: Silero takes amplified noise for possible speech.
Whisper needs no gain control: its log-mel features are relative to the loudest moment of a clip.
"""

from __future__ import annotations

import math

import numpy as np

from ..audio.pcm import Samples

# In 40 rooms without speech, as recorded and 10 dB quieter, the VAD finds possible speech in 19
# and 0 with these values (without gain in 16 and 0), certain speech in 2 and 0. In 40 commands at
# -70 dBFS it finds 92% of the windows that it finds in the original, without gain 81%.
_TARGET = -45.0  # dBFS, RMS of the loudest window; louder streams pass unchanged
_MOST = 20.0  # maximum gain, dB
_LEAST_RANGE = 18.0  # dB between the noise floor and the loudest sound; with less, no gain
_DECAY = 0.02  # dB by which the peak level falls in each 32 ms window
_RISE = 0.005  # dB by which the noise floor rises in each window

# Power. Lowest level, -85 dBFS: a microphone that was muted, and sent zeros, must not make the
# noise that follows look loud.
_SILENCE = 10 ** (-85 / 10)


class LevelControl:
    """Automatic gain control for one stream of VAD windows. Not safe to share between threads."""

    def __init__(self) -> None:
        self._peak = -math.inf  # dBFS, level of the loudest sound
        self._floor = math.inf  # dBFS, level of the noise

    def feed(self, windows: Samples) -> Samples:
        """Amplify the next windows of the stream.

        Args:
            windows: float32, shape (n, samples), -1 to 1.

        Returns:
            The same shape, clipped to -1 to 1.
        """
        # Not vectorised: a live stream brings a window or two at a time.
        gains = [self._gain(float(window @ window) / len(window)) for window in windows]
        if not any(gains):
            return windows
        factors = np.array([10 ** (gain / 20) for gain in gains], np.float32)
        amplified: Samples = np.clip(windows * factors[:, np.newaxis], -1, 1)
        return amplified

    def _gain(self, power: float) -> float:
        """Return the gain in dB for the next window, from its mean power."""
        level = 10 * math.log10(max(power, _SILENCE))
        self._peak = max(self._peak - _DECAY, level)
        self._floor = min(self._floor + _RISE, level)
        if self._peak - self._floor < _LEAST_RANGE:
            return 0.0
        return min(_MOST, max(0.0, _TARGET - self._peak))
