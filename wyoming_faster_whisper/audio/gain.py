"""Gain normalisation, as a preprocessing step: raises quiet speech to one level. Pure.

The gain follows the loudest sound of the last seconds, and changes slowly enough that words keep
their shape. A stream whose loudest sound hardly exceeds its noise floor is an empty room and is
not amplified. Louder streams pass unchanged. The VAD has a gain control of its own
(speech/gain_control.py), which the model does not hear.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .pcm import Samples
from .steps import FRAME

TARGET = -23.0
"""dBFS, RMS of the loudest 10 ms."""

_LOWEST, _HIGHEST = -50.0, -10.0  # dBFS, of the target
_MOST = 30.0  # dB
_LEAST_RANGE = 12.0  # dB between the noise floor and the loudest sound; with less, no gain
_DECAY = 0.02  # dB per frame by which the peak level falls: 2 dB per second
_RISE = 0.02  # dB per frame by which the noise floor rises
_FASTEST = 0.3  # dB per frame by which the gain rises: 30 dB per second; it falls at once
_CEILING = 0.89  # of full scale, -1 dB: no sample is amplified beyond
_SILENCE = 10 ** (-85 / 10)  # power, lowest level: zeros must not make later noise look loud


class GainNormaliser:
    """Automatic gain over one stream, in frames of 10 ms with a frame of look-ahead.

    Args:
        target: dBFS, RMS of the loudest frame.
    """

    delay = FRAME

    def __init__(self, target: float = TARGET) -> None:
        self._target = target
        self._peak = -math.inf  # dBFS, level of the loudest sound
        self._floor = math.inf  # dBFS, level of the noise
        self._gain = 0.0  # dB, target that follows from the levels
        self._factor = 1.0  # at the start of the frame that is held
        self._held: Samples = np.zeros(FRAME, np.float32)

    def __call__(self, samples: Samples) -> Samples:
        frames = np.concatenate((self._held, samples)).reshape(-1, FRAME)
        self._held = frames[-1].copy()
        peaks = np.abs(frames).max(axis=1)
        # Not vectorised: a live stream brings a few frames at a time.
        levels = np.einsum("ij,ij->i", frames[1:], frames[1:]) / FRAME
        wanted = [10 ** (self._next_gain(float(power)) / 20) for power in levels]
        # The gain changes linearly within a frame, and both its ends must suit both frames that
        # meet there, so that no sample exceeds the ceiling.
        limits = np.maximum(1.0, _CEILING / np.maximum(peaks, 1e-9))
        ends = np.minimum(np.minimum(limits[:-1], limits[1:]), wanted)
        starts = np.concatenate(([self._factor], ends[:-1]))
        self._factor = float(ends[-1])
        return _ramp(frames[:-1], starts, ends)

    def _next_gain(self, power: float) -> float:
        """Return the gain in dB after the next frame, from its mean power."""
        level = 10 * math.log10(max(power, _SILENCE))
        self._peak = max(self._peak - _DECAY, level)
        self._floor = min(self._floor + _RISE, level)
        wanted = 0.0
        if self._peak - self._floor >= _LEAST_RANGE:
            wanted = min(_MOST, max(0.0, self._target - self._peak))
        self._gain = min(wanted, self._gain + _FASTEST)
        return self._gain


def _ramp(
    frames: Samples, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]
) -> Samples:
    """Amplify each frame by a factor that goes linearly from its start to its end."""
    share = np.arange(1, FRAME + 1) / FRAME
    factors = starts[:, np.newaxis] + (ends - starts)[:, np.newaxis] * share
    amplified: Samples = (frames * factors).astype(np.float32).reshape(-1)
    return amplified


def gain(argument: str) -> GainNormaliser:
    """Make the step `gain`, `gain:TARGET`.

    Raises:
        ValueError: the argument is not a level from -50 to -10 dBFS.
    """
    try:
        target = float(argument or TARGET)
    except ValueError:
        target = math.nan
    if not _LOWEST <= target <= _HIGHEST:
        raise ValueError(f"the target is {argument}; it must be {_LOWEST:g} to {_HIGHEST:g} dBFS")
    return GainNormaliser(target)
