"""Automatic gain control: raises quiet streams to a normal level for the VAD. Pure.

Silero misses quiet words below -60 dBFS. The gain follows the loudest sound so far, so the first
word sets it; louder streams pass unchanged. A stream whose loudest sound hardly exceeds its noise
floor is an empty room and is not amplified: Silero takes amplified noise for possible speech.
Whisper needs no gain control: its log-mel features are relative to the loudest moment of a clip.
"""

from __future__ import annotations

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

# RMS. Lowest level: a microphone that was muted, and sent zeros, must not make the noise that
# follows look loud.
_SILENCE = 10 ** (-85 / 20)


class LevelControl:
    """Automatic gain control for one stream of VAD windows. Not safe to share between threads."""

    def __init__(self) -> None:
        self._peak = -np.inf  # dBFS, level of the loudest sound
        self._floor = np.inf  # dBFS, level of the noise

    def feed(self, windows: Samples) -> Samples:
        """Amplify the next windows of the stream.

        Args:
            windows: float32, shape (n, samples), -1 to 1.

        Returns:
            The same shape, clipped to -1 to 1.
        """
        rms = np.sqrt(np.mean(windows**2, axis=1))
        levels = 20 * np.log10(np.maximum(rms, _SILENCE))
        passed = np.arange(1, len(levels) + 1)
        peaks = _running(np.maximum, levels, self._peak, -_DECAY * passed)
        floors = _running(np.minimum, levels, self._floor, _RISE * passed)
        self._peak, self._floor = float(peaks[-1]), float(floors[-1])
        gains = np.clip(_TARGET - peaks, 0, _MOST)
        gains[peaks - floors < _LEAST_RANGE] = 0
        if not gains.any():
            return windows
        factors = (10 ** (gains / 20)).astype(np.float32)
        amplified: Samples = np.clip(windows * factors[:, np.newaxis], -1, 1)
        return amplified


def _running(extreme: np.ufunc, levels: Samples, before: float, drift: Samples) -> Samples:
    """Return the running extreme of some levels, which drifts while it is not reached again."""
    found: Samples = drift + extreme(extreme.accumulate(levels - drift), before)
    return found
