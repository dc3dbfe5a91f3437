"""Preprocessing step that smooths the sound. docs/preprocessing.md explains it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


class Smooth:
    """Moving average over one stream.

    Args:
        width: samples averaged; odd, at least 3.
    """

    def __init__(self, width: int) -> None:
        self.delay = width // 2  # samples: a sound comes out in the middle of the average
        self._kernel = np.full(width, 1 / width, np.float32)
        self._before: Samples = np.zeros(width - 1, np.float32)

    def __call__(self, samples: Samples) -> Samples:
        whole = np.concatenate((self._before, samples))
        self._before = whole[-len(self._before) :]
        return np.convolve(whole, self._kernel, "valid")


def smooth(argument: str) -> Smooth:
    """Make the step of one stream. The entry point refers to this function."""
    if argument not in ("", "3", "5", "7"):
        raise ValueError(f"the width is {argument}; it must be 3, 5 or 7 samples")
    return Smooth(int(argument or "5"))
