"""How a voice was when it fell silent. Pure.

At the end of a sentence a voice fades and its overtones go first, before the room is
heard; one that is interrupted breaks off as loud and as clear as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.pcm import SAMPLE_RATE, Samples

_FRAME = SAMPLE_RATE // 100  # samples: the step in which a voice is looked at
_LAST = 20  # frames that tell how it fell silent
_VERY_LAST = 5  # frames
_LONGEST = 5 * SAMPLE_RATE  # samples before that, which tell how it was
_LOUD = -25  # dB relative to its louder parts: there is voice in a frame
_PITCH = 4 * _FRAME  # samples that hold two periods of a low voice
_PERIODS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 60)  # samples: of voices from 60 to 400 Hz
_SPECTRUM = 512  # samples: 31 Hz a bin
_MOST_TILT = 20  # dB; what is beyond that is no voice
_LOW, _HIGH = slice(2, 16), slice(32, 128)  # bins: 60 to 500 Hz, 1 to 4 kHz

_Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a voice was when it fell silent."""

    end: float  # second at which it did
    # Of its last 200 ms:
    loudness: float = 0.0  # dB relative to its louder parts, -40 to 0
    harmonicity: float = 0.0  # how much they are one: 0 = noise, 1 = a tone
    spectral_tilt: float = 0.0  # dB that its high tones have lost, beside the low ones, -20 to 20
    # Of its last 50 ms:
    final_loudness: float = 0.0  # dB relative to its louder parts, -40 to 0


def measure_prosody(samples: Samples, speech_end: int) -> Prosody:
    """How the voice of a recording fell silent.

    Args:
        samples: of speech, and the silence behind it.
        speech_end: samples up to which the VAD hears speech; the voice ends before that.
    """
    skipped = max(0, speech_end - _LONGEST) // _FRAME
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)[skipped:]
    loudness = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-9)
    before, behind = np.split(loudness, [speech_end // _FRAME - skipped])
    if len(before) < _LAST:
        return Prosody(speech_end / SAMPLE_RATE)
    quiet, loud = np.percentile(loudness, [10, 95])
    # The room as it is behind the voice, in which there may be noise.
    room = np.percentile(behind, 80) if len(behind) else quiet
    # Louder than that, but in a noisy room not so loud that most of the voice is lost; and what
    # is much softer than the voice is an echo of it.
    above = np.flatnonzero(before > max(min(room + 6, loud - 8), loud - 40))
    end = int(above[-1]) + 1 if len(above) else len(before)
    relative = before[:end] - np.percentile(before[:end], 90)
    sound = frames.reshape(-1)[: end * _FRAME + _PITCH]
    return Prosody(
        (skipped + end) * _FRAME / SAMPLE_RATE,
        float(np.clip(relative[-_LAST:].mean(), -40, 0)),
        _harmonicity(sound[max(0, (end - _LAST) * _FRAME) :]),
        _spectral_tilt(sound, relative > _LOUD),
        float(np.clip(relative[-_VERY_LAST:].mean(), -40, 0)),
    )


def _harmonicity(samples: Samples) -> float:
    """How periodic a sound is, by its autocorrelation: 0 to 1."""
    window = np.hanning(_PITCH)
    pieces = _frames(samples, _PITCH)[:_LAST]
    pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * window
    alike = _autocorrelation(pieces)[:, _PERIODS] / _autocorrelation(window)[_PERIODS]
    return float(np.clip(alike.max(axis=1), 0, 1).mean())


def _autocorrelation(pieces: _Floats) -> _Floats:
    """Relative to that at a lag of none."""
    size = 2 * pieces.shape[-1]
    found = np.fft.irfft(np.abs(np.fft.rfft(pieces, size)) ** 2)
    return found / (found[..., :1] + 1e-9)


def _spectral_tilt(samples: Samples, voiced: npt.NDArray[np.bool_]) -> float:
    """How much less of the high tones there is in the last frames than in all that are voiced."""
    pieces = _frames(samples, _SPECTRUM)[: len(voiced)]
    power = np.abs(np.fft.rfft(pieces * np.hanning(_SPECTRUM))) ** 2
    low, high = (power[:, band].mean(axis=1) for band in (_LOW, _HIGH))
    floor = 1e-7 * max(low.max(), high.max()) + 1e-12
    tilt = 10 * np.log10((low + floor) / (high + floor))
    voiced = voiced[: len(tilt)]
    lost = tilt[-_LAST:].mean() - tilt[voiced].mean() if voiced.any() else 0.0
    return float(np.clip(lost, -_MOST_TILT, _MOST_TILT))


def _frames(samples: Samples, size: int) -> Samples:
    """Overlapping pieces of a sound, one a frame, the last of them padded."""
    found: Samples = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (0, size)), size)
    return found[::_FRAME][: max(1, -(-len(samples) // _FRAME))]
