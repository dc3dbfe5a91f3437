"""Whispered speech, made of voiced speech.

A whisper has no voice: breath takes the place of the vibrating vocal folds, and the mouth shapes
it as before. So the source of each short frame is replaced by noise, and its spectral envelope,
found by linear prediction, stays.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from ..support.clips import SAMPLE_RATE, Samples

ORDER = 20  # coefficients of the envelope: two for each formant, and a few for the tilt
_FRAME = SAMPLE_RATE // 40  # samples, 25 ms
_HOP = _FRAME // 4


def whispered(samples: Samples, seed: str) -> Samples:
    """Return speech with noise in place of the voice, at the level of the speech.

    Args:
        seed: selects the noise.
    """
    padded = np.pad(samples.astype(np.float64), (_FRAME, 2 * _FRAME))
    noise = np.random.default_rng(zlib.crc32(seed.encode())).standard_normal(len(padded))
    window = np.hanning(_FRAME + 1)[:-1]
    made = np.zeros(len(padded))
    for start in range(0, len(padded) - _FRAME, _HOP):
        part = slice(start, start + _FRAME)
        made[part] += window * _reshaped(window * padded[part], window * noise[part])
    # Windows of the analysis and of the synthesis, whose squares overlap.
    made *= _HOP / np.sum(window**2)
    return np.asarray(made[_FRAME : _FRAME + len(samples)], np.float32)


def _reshaped(frame: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give noise the spectral envelope and the level of a frame."""
    power = np.sum(frame**2)
    if power < 1e-12:
        return np.zeros(len(frame))
    size = 2 * len(frame)
    envelope = 1 / np.abs(np.fft.rfft(_prediction(frame), size))
    shaped: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(noise, size) * envelope)[: len(frame)]
    shaped *= np.sqrt(power / (np.sum(shaped**2) + 1e-12))
    return shaped


def _prediction(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the prediction error filter of a frame, by the autocorrelation method."""
    spectrum = np.fft.rfft(frame, 2 * len(frame))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: ORDER + 1]
    correlation[0] *= 1.0001  # white noise correction: the equations stay solvable
    lags = np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))
    weights = np.linalg.solve(correlation[lags], correlation[1:])
    return np.concatenate(([1.0], -weights))
