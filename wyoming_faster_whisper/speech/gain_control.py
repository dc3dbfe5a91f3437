"""Automatic gain control: raises quiet streams to a normal level for the VAD. Pure.

Silero misses quiet words below -60 dBFS. The gain follows the loudest sound so far, so the first
word sets it; louder streams pass unchanged. A stream whose loudest sound hardly exceeds its noise
floor is an empty room and is not amplified: Silero takes amplified noise for possible speech.
Whisper needs no gain control: its log-mel features are relative to the loudest moment of a clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..audio.pcm import Samples

# Power. Lowest level, -85 dBFS: a microphone that was muted, and sent zeros, must not make the
# noise that follows look loud.
_SILENCE = 10 ** (-85 / 10)


@dataclass(frozen=True, slots=True)
class Gain:
    """Fitted levels of the gain control; calibration/ has their data."""

    target: float  # dBFS, RMS of the loudest window; louder streams pass unchanged
    most: float  # maximum gain, dB
    least_range: float  # dB between the noise floor and the loudest sound; with less, no gain
    decay: float  # dB by which the peak level falls in each 32 ms window
    rise: float  # dB by which the noise floor rises in each window


class LevelControl:
    """Automatic gain control for one stream of VAD windows. Not safe to share between threads."""

    def __init__(self, gain: Gain) -> None:
        self._levels = gain
        self._peak = -math.inf  # dBFS, level of the loudest sound
        self._floor = math.inf  # dBFS, level of the noise

    def feed(self, windows: Samples) -> Samples:
        """Amplify the next windows of the stream.

        Args:
            windows: float32, shape (n, samples), -1 to 1.

        Returns:
            The same shape, clipped to -1 to 1.
        """
        # Not vectorised: a live stream brings a few windows at a time.
        gains = [self._gain(float(window @ window) / len(window)) for window in windows]
        if not any(gains):
            return windows
        factors = np.array([10 ** (gain / 20) for gain in gains], np.float32)
        amplified: Samples = np.clip(windows * factors[:, np.newaxis], -1, 1)
        return amplified

    def _gain(self, power: float) -> float:
        """Return the gain in dB for the next window, from its mean power."""
        level = 10 * math.log10(max(power, _SILENCE))
        self._peak = max(self._peak - self._levels.decay, level)
        self._floor = min(self._floor + self._levels.rise, level)
        if self._peak - self._floor < self._levels.least_range:
            return 0.0
        return min(self._levels.most, max(0.0, self._levels.target - self._peak))
