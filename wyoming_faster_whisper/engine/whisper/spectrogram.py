"""Log-mel spectrogram, the input of Whisper. Pure.

The values are those of faster_whisper.feature_extractor (a test compares them), but that
package is not imported: its media decoders take 25 MB of memory and a quarter of a second,
and a server for raw audio never uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...audio.pcm import SAMPLE_RATE, Samples

_FFT = 400  # samples of one window, 25 ms
HOP = 160  # samples between two windows, 10 ms
_AT_ONCE = 500  # windows transformed at once, because each takes 10 KB meanwhile

Power = npt.NDArray[np.float32]
"""Power of mel bands over time, shape (bands, frames)."""

Features = npt.NDArray[np.float32]
"""Log-mel bands over time as Whisper takes them, shape (bands, frames)."""


class Spectrogram:
    """Mel spectrogram with a fixed number of bands.

    Args:
        bands: 80, or 128 for large-v3 and models derived from it.
    """

    def __init__(self, bands: int) -> None:
        self.bands = bands
        self.filters = _mel_filters(bands)  # shape (bands, frequencies)
        self._window = np.hanning(_FFT + 1)[:-1].astype(np.float32)

    def power(self, samples: Samples) -> Power:
        """Return the power of each mel band in len(samples) // HOP + 1 frames.

        Args:
            samples: 16 kHz mono, longer than half a window (12.5 ms).
        """
        # Append one hop of silence and mirror half a window at both ends, so that frame i is
        # centred on sample i * HOP.
        padded = np.pad(np.pad(samples, (0, HOP)), _FFT // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP][:-1]
        mel = np.empty((self.bands, len(frames)), np.float32)
        for at in range(0, len(frames), _AT_ONCE):
            spectrum = np.fft.rfft(frames[at : at + _AT_ONCE] * self._window, axis=1)
            power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
            mel[:, at : at + _AT_ONCE] = self.filters @ power.T
        return mel


def to_features(power: Power) -> Features:
    """Return the scaled logarithm of the power, limited to 80 dB below the loudest value.

    Source: openai/whisper: audio.py, log_mel_spectrogram.
    """
    loudness = np.log10(np.maximum(power, 1e-10))
    loudness = np.maximum(loudness, loudness.max() - 8.0)
    features: Features = ((loudness + 4.0) / 4.0).astype(np.float32)
    return features


def padded(clips: Sequence[Features], bands: int, frames: int) -> Features:
    """Return the features of a batch, shape (clips, bands, frames), each cut or padded.

    The padding is zeros, as in faster-whisper. Zero is louder than silence; padding with silence
    is no more accurate.
    """
    batch = np.zeros((len(clips), bands, frames), np.float32)
    for row, some in zip(batch, clips, strict=True):
        width = min(frames, some.shape[1])
        row[:, :width] = some[:, :width]
    return batch


def _mel_filters(bands: int) -> npt.NDArray[np.float32]:
    """Return triangular filters on Slaney's mel scale, each of area 1, like librosa.filters.mel.

    The scale is linear below 1 kHz (3 mels per 200 Hz) and logarithmic above (27 mels per factor
    of 6.4).

    Returns:
        Weights, shape (bands, frequencies of the FFT).
    """
    break_hz, break_mel, step = 1000.0, 15.0, np.log(6.4) / 27.0
    top = break_mel + np.log(SAMPLE_RATE / 2 / break_hz) / step
    mels = np.linspace(0.0, top, bands + 2)
    edges = np.where(
        mels < break_mel, mels * 200 / 3, break_hz * np.exp(step * (mels - break_mel))
    )
    frequencies = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    rise = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    areas = 2.0 / (edges[2:] - edges[:-2])
    filters: npt.NDArray[np.float32] = (triangles * areas[:, None]).astype(np.float32)
    return filters
