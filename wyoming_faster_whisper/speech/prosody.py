"""Measures the prosody of the last syllables before a silence, and how voiced a sound is. Pure.

At the end of a sentence a voice fades into the noise of the room, its overtones first. A speaker
who pauses in mid-sentence stops at full loudness and harmonicity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.pcm import SAMPLE_RATE, Samples

_FRAME = SAMPLE_RATE // 100  # samples: hop size of the analysis, 10 ms
_LAST = 20  # frames at the end of the voice that are measured
_VERY_LAST = 5  # frames for final_loudness
_LONGEST = 5 * SAMPLE_RATE  # maximum samples of speech that the end is compared with
_LOUD = -25  # dB relative to the louder parts; a frame above this counts as voiced
_PITCH = 4 * _FRAME  # samples: window of the autocorrelation, two periods of a low voice
_TOGETHER = 100  # frames whose autocorrelation is computed at once, in 3 MB
_PERIODS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 60)  # samples: pitch of 60 to 400 Hz
_SPECTRUM = 512  # samples: FFT window, 31 Hz per bin
_MOST_TILT = 20  # dB; a voice does not exceed this
_LOW, _HIGH = slice(2, 16), slice(32, 128)  # bins: 60 to 500 Hz, 1 to 4 kHz

_Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Prosody:
    """Prosody of a voice just before it falls silent."""

    end: float  # second of the recording at which the voice ends
    # Measured over the last 200 ms of the voice:
    loudness: float = 0.0  # dB relative to its louder parts, -40 to 0
    harmonicity: float = 0.0  # periodicity: 0 = noise, 1 = a pure tone
    spectral_tilt: float = 0.0  # dB that the highs have lost relative to the lows, -20 to 20
    # Measured over the last 50 ms:
    final_loudness: float = 0.0  # dB relative to its louder parts, -40 to 0
    # Of the whole voice:
    snr: float = 60.0  # dB by which its louder parts exceed the room after it


def measure_prosody(samples: Samples, speech_end: int) -> Prosody:
    """Measure the prosody of a voice just before it falls silent. Blocking.

    Args:
        samples: the speech and the silence after it.
        speech_end: sample at which the VAD ends the speech; the voice itself ends before that.

    Returns:
        The measurements; where the VAD found less than 200 ms of speech, only `end` is measured.
    """
    skipped = max(0, speech_end - _LONGEST) // _FRAME
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)[skipped:]
    loudness = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-9)
    before, behind = np.split(loudness, [speech_end // _FRAME - skipped])
    if len(before) < _LAST:
        return Prosody(speech_end / SAMPLE_RATE)
    quiet, loud = np.percentile(loudness, [10, 95])
    # Level of the room after the voice, which may contain noise.
    room = np.percentile(behind, 80) if len(behind) else quiet
    # The voice ends at the last frame above the room's level. In a noisy room the limit must stay
    # low enough to keep most of the voice. Frames much softer than the voice are its echo.
    above = np.flatnonzero(before > max(min(room + 6, loud - 8), loud - 40))
    end = int(above[-1]) + 1 if len(above) else len(before)
    relative = before[:end] - np.percentile(before[:end], 90)
    sound = frames.reshape(-1)[: end * _FRAME + _PITCH]
    return Prosody(
        (skipped + end) * _FRAME / SAMPLE_RATE,
        float(np.clip(relative[-_LAST:].mean(), -40, 0)),
        float(_periodicity(sound[max(0, (end - _LAST) * _FRAME) :])[:_LAST].mean()),
        _spectral_tilt(sound, relative > _LOUD),
        float(np.clip(relative[-_VERY_LAST:].mean(), -40, 0)),
        float(loud - room),
    )


def harmonicity(samples: Samples) -> float:
    """Return the mean periodicity of a sound: 0 (noise) to 1 (a pure tone). Blocking.

    Args:
        samples: of shape (n,), at 16 kHz.
    """
    return float(_periodicity(samples).mean())


def _periodicity(samples: Samples) -> _Floats:
    """Return the periodicity of each frame, by its normalised autocorrelation: 0 to 1."""
    window = np.hanning(_PITCH)
    usual = _autocorrelation(window)[_PERIODS]
    frames = _frames(samples, _PITCH)
    best: list[_Floats] = []
    for begin in range(0, len(frames), _TOGETHER):
        pieces = frames[begin : begin + _TOGETHER]
        pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * window
        best.append((_autocorrelation(pieces)[:, _PERIODS] / usual).max(axis=1))
    found: _Floats = np.clip(np.concatenate(best), 0, 1)
    return found


def _autocorrelation(pieces: _Floats) -> _Floats:
    """Return the autocorrelation of each row, relative to its value at lag 0."""
    size = 2 * pieces.shape[-1]
    found = np.fft.irfft(np.abs(np.fft.rfft(pieces, size)) ** 2)
    return found / (found[..., :1] + 1e-9)


def _spectral_tilt(samples: Samples, voiced: npt.NDArray[np.bool_]) -> float:
    """Return the dB of highs lost in the last frames, compared with all voiced frames."""
    pieces = _frames(samples, _SPECTRUM)[: len(voiced)]
    power = np.abs(np.fft.rfft(pieces * np.hanning(_SPECTRUM))) ** 2
    low, high = (power[:, band].mean(axis=1) for band in (_LOW, _HIGH))
    floor = 1e-7 * max(low.max(), high.max()) + 1e-12
    tilt = 10 * np.log10((low + floor) / (high + floor))
    lost = tilt[-_LAST:].mean() - tilt[voiced].mean()
    return float(np.clip(lost, -_MOST_TILT, _MOST_TILT))


def _frames(samples: Samples, size: int) -> Samples:
    """Return overlapping windows of a sound, one per frame, padded with zeros at the end."""
    found: Samples = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (0, size)), size)
    return found[::_FRAME][: max(1, -(-len(samples) // _FRAME))]
