"""Noise suppression of WebRTC, as a preprocessing step. Needs the extra `denoise`."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError, install_command
from .pcm import Samples, to_pcm16
from .steps import FRAME

PACKAGE = "webrtc_noise_gain"

_LEVELS = ("1", "2", "3", "4")
_USUAL = "2"


class Denoise:
    """WebRTC's noise suppression over one stream, in frames of 10 ms.

    It also applies WebRTC's high-pass filter, and rounds to 16 bits.

    Args:
        level: 1 (weakest) to 4.

    Raises:
        SettingError: the extra is not installed.
    """

    delay = 96  # samples: its windows have 256, of which 160 are new

    def __init__(self, level: int) -> None:
        try:
            from webrtc_noise_gain import AudioProcessor
        except ImportError as error:
            raise SettingError(f"it needs {error.name}: {install_command('denoise')}") from None
        # The first argument is its automatic gain, which would change the level all the time.
        self._processor = AudioProcessor(0, level)

    def __call__(self, samples: Samples) -> Samples:
        pcm, size = to_pcm16(samples), 2 * FRAME
        clean = b"".join(
            self._processor.Process10ms(pcm[at : at + size]).audio
            for at in range(0, len(pcm), size)
        )
        return np.frombuffer(clean, "<i2").astype(np.float32) / np.float32(32768)


def denoise(argument: str) -> Denoise:
    """Make the step `denoise`, `denoise:LEVEL`.

    Raises:
        ValueError: the argument is not a level.
        SettingError: the extra is not installed.
    """
    level = argument or _USUAL
    if level not in _LEVELS:
        raise ValueError(f"the level is {argument}; it must be {_LEVELS[0]} to {_LEVELS[-1]}")
    return Denoise(int(level))
