"""A high-pass filter: removes DC offset, rumble and mains hum from every stream. Pure.

The voice activity detector and the model were trained on sound without an offset. With one, the
detector's probability stays low and words are lost, the more so the quieter the speech is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .audio import SAMPLE_RATE, Samples

CUTOFF = 80.0
"""Hz, -3 dB: below the pitch of nearly all voices, above 50 and 60 Hz mains hum."""

_SECTIONS = 2  # of second order each: 16 dB less at 50 Hz, 10 dB less at 60 Hz
_BLOCK = 256  # samples that one matrix product filters

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Section:
    """One second-order section in state-space form, unrolled over a block of samples.

    With the state s and the input x of a block of n samples, the output is
    y = response[:n, :n] @ x + free[:n] @ s, and the next state is
    step[n] @ s + driven[:n][::-1].T @ x.
    """

    response: _Floats  # shape (block, block), lower triangular: the impulse response
    free: _Floats  # shape (block, 2): the output that the state alone causes
    step: _Floats  # shape (block + 1, 2, 2): powers of the state matrix
    driven: _Floats  # shape (block, 2): the state that an input k samples ago causes
    gain: float  # from input to output at the same sample

    def settled(self, level: float) -> _Floats:
        """Return the state after a constant input of infinite length."""
        settled: _Floats = np.linalg.solve(np.eye(2) - self.step[1], self.driven[0] * level)
        return settled


class HighPass:
    """Filters one stream at 16 kHz, chunk by chunk, without delay: a Butterworth of order 4.

    The filter starts as if the first sample had been there forever, so that an offset is gone
    from the first sample on and does not decay into the speech.
    """

    def __init__(self) -> None:
        self._states: list[_Floats] = []  # of each section; from the first sample on

    def feed(self, samples: Samples) -> Samples:
        """Filter the next samples of the stream.

        Returns:
            As many samples as were given.
        """
        if not len(samples):
            return samples
        signal = samples.astype(np.float64)
        if not self._states:
            level = float(signal[0])
            for section in _sections():
                self._states.append(section.settled(level))
                level = float(self._states[-1][0]) + section.gain * level
        for number, section in enumerate(_sections()):
            out = np.empty_like(signal)
            state = self._states[number]
            for start in range(0, len(signal), _BLOCK):
                block = signal[start : start + _BLOCK]
                size = len(block)
                out[start : start + size] = (
                    section.response[:size, :size] @ block + section.free[:size] @ state
                )
                state = section.step[size] @ state + section.driven[:size][::-1].T @ block
            self._states[number] = state
            signal = out
        filtered: Samples = signal.astype(np.float32)
        return filtered


@lru_cache(maxsize=1)
def _sections() -> list[_Section]:
    """Design the filter: the bilinear transform of a Butterworth prototype.

    Formulas: R. Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients,
    high-pass; the sections' Q are those of a Butterworth of order 2 * _SECTIONS.
    """
    omega = 2 * np.pi * CUTOFF / SAMPLE_RATE
    sections: list[_Section] = []
    for number in range(_SECTIONS):
        # sin(omega) / (2 Q), and Q = 1 / (2 cos(angle of the pole))
        alpha = np.sin(omega) * np.cos(np.pi * (2 * number + 1) / (4 * _SECTIONS))
        gain = (1 + np.cos(omega)) / 2 / (1 + alpha)
        a1, a2 = -2 * np.cos(omega) / (1 + alpha), (1 - alpha) / (1 + alpha)
        # Transposed direct form 2: y = s[0] + gain * x.
        matrix = np.array([[-a1, 1.0], [-a2, 0.0]])
        entry = np.array([-2 * gain - a1 * gain, gain - a2 * gain])
        powers = [np.eye(2)]
        for _ in range(_BLOCK):
            powers.append(matrix @ powers[-1])
        step = np.array(powers)
        driven = step[:_BLOCK] @ entry
        free = step[:_BLOCK, 0]
        impulse = np.concatenate(([gain], free[:-1] @ entry))
        response = np.zeros((_BLOCK, _BLOCK))
        for row in range(_BLOCK):
            response[row, : row + 1] = impulse[row::-1]
        sections.append(_Section(response, free, step, driven, gain))
    return sections
