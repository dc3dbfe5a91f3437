"""Less of the room in what Whisper hears. Pure.

The Wiener filter in its simplest form: what is always there in a band is noise, and every
moment of the band is turned down by its share of noise (Lim and Oppenheim, 1979, with a
spectral floor as by Berouti et al., 1979). Held back on purpose: filtered harder, speech is
damaged, and Whisper, which was trained on noise, hears worse than without. Even so it hears no
better by itself, but errs elsewhere: it is for a second look (docs/performance.md).
"""

from __future__ import annotations

import numpy as np

from .spectrogram import Power

_ALWAYS = 0.2  # quantile over time: people pause, and between syllables bands are empty
_MORE = 1.5  # noise is, on average, more than its quiet moments
_FLOOR = 0.3  # of the amplitude, -10 dB: nothing is turned down further


def less_noise(power: Power) -> Power:
    """Turn the noise down.

    Args:
        power: of an utterance with a little of the room around it.

    Returns:
        The same shape.
    """
    noise = _MORE * np.quantile(power, _ALWAYS, axis=1, keepdims=True)
    gain = np.maximum(_FLOOR, 1.0 - noise / np.maximum(power, 1e-10))
    # Over three frames: single ones that stick out of the noise would ring.
    around = np.pad(gain, ((0, 0), (1, 1)), mode="edge")
    gain = (around[:, :-2] + around[:, 1:-1] + around[:, 2:]) / 3.0
    quieter: Power = (power * gain**2).astype(np.float32)
    return quieter
