"""High-pass filter: removes DC offset, rumble and mains hum from every stream. Pure.

The VAD and Whisper were trained on audio without a DC offset. With one, the VAD's probability
stays low and words are lost; the quieter the speech, the more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .pcm import SAMPLE_RATE, Samples

CUTOFF = 80.0
"""Hz, -3 dB: below the pitch of nearly all voices, above 50 and 60 Hz mains hum."""

_SECTIONS = 3  # second-order sections; together -25 dB at 50 Hz, -16 dB at 60 Hz
_BLOCK = 80  # samples filtered at once: 5 ms
_TOGETHER = 32  # blocks in one product; with more, the BLAS library would start threads
_LOWEST, _HIGHEST = 20, 400  # Hz; a higher cutoff would remove formants that distinguish vowels

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Design:
    """The filter in state-space form, unrolled over a block of samples.

    For a block with initial state s and input x, the output is response @ x + free @ s, and the
    next state is steps[block] @ s + driven @ x. A shorter block uses the first rows, and the last
    columns of driven.
    """

    response: _Floats  # shape (block, block), lower triangular: the impulse response
    free: _Floats  # shape (block, states): the output that the state alone causes
    steps: _Floats  # shape (block + 1, states, states): powers of the state matrix
    driven: _Floats  # shape (states, block): the state that each input causes
    # Shape (n + 1, states, n + 1, states): what, before each of n blocks and after the last, has
    # become of the state before the first block, and of those that the blocks have caused.
    chain: _Floats

    def states(self, first: _Floats, driven: _Floats) -> _Floats:
        """Return the state before each of some blocks, and after the last.

        Args:
            first: state before the first block.
            driven: state that the input of each block causes, shape (n, states).

        Returns:
            Shape (n + 1, states).
        """
        count = len(driven) + 1
        chain = self.chain[:count, :, :count].reshape(count * len(first), count * len(first))
        found: _Floats = (chain @ np.concatenate((first, driven.reshape(-1)))).reshape(count, -1)
        return found

    def settled(self, level: float) -> _Floats:
        """Return the state after a constant input of infinite length."""
        identity = np.eye(len(self.driven))
        settled: _Floats = np.linalg.solve(identity - self.steps[1], self.driven[:, -1] * level)
        return settled


class HighPass:
    """A 6th-order Butterworth high-pass over one 16 kHz stream, chunk by chunk, without delay.

    The filter starts as if the first sample had lasted forever, so that an offset is removed from
    the first sample on instead of decaying into the speech.

    Args:
        cutoff: Hz, at least 20.
    """

    delay = 0

    def __init__(self, cutoff: float = CUTOFF) -> None:
        self._cutoff = cutoff
        self._state: _Floats | None = None  # None before the first sample

    def feed(self, samples: Samples) -> Samples:
        """Filter the next samples of the stream.

        Returns:
            As many samples as the input has.
        """
        if not len(samples):
            return samples
        design = _design(self._cutoff)
        signal = samples.astype(np.float64)
        state = design.settled(float(signal[0])) if self._state is None else self._state
        whole = len(signal) // _BLOCK
        blocks = signal[: whole * _BLOCK].reshape(whole, _BLOCK)
        filtered = np.empty(len(signal), np.float32)
        for at in range(0, whole, _TOGETHER):
            some = blocks[at : at + _TOGETHER]
            states = design.states(state, some @ design.driven.T)
            filtered[at * _BLOCK : (at + len(some)) * _BLOCK] = (
                some @ design.response.T + states[:-1] @ design.free.T
            ).reshape(-1)
            state = states[-1]
        rest = signal[whole * _BLOCK :]
        if size := len(rest):
            response, free = design.response[:size, :size], design.free[:size]
            filtered[-size:] = response @ rest + free @ state
            state = design.steps[size] @ state + design.driven[:, -size:] @ rest
        self._state = state
        return filtered

    __call__ = feed


def high_pass(argument: str) -> HighPass:
    """Make the step `highpass`, `highpass:HZ`.

    Raises:
        ValueError: the argument is not a cutoff frequency from 20 to 400 Hz.
    """
    if not argument:
        return HighPass()
    cutoff = float(argument) if argument.replace(".", "", 1).isdecimal() else 0.0
    if not _LOWEST <= cutoff <= _HIGHEST:
        raise ValueError(f"the cutoff is {argument}; it must be {_LOWEST} to {_HIGHEST} Hz")
    return HighPass(cutoff)


@lru_cache(maxsize=8)
def _design(cutoff: float) -> _Design:
    """Design the filter as a cascade of biquads: bilinear transform of a Butterworth prototype.

    Formulas: R. Bristow-Johnson, Cookbook formulae for audio EQ biquad filter coefficients,
    high-pass; the sections' Q are those of a Butterworth of order 2 * _SECTIONS.
    """
    omega = 2 * np.pi * cutoff / SAMPLE_RATE
    matrix, entry, out, through = np.zeros((0, 0)), np.zeros(0), np.zeros(0), 1.0
    for number in range(_SECTIONS):
        # sin(omega) / (2 Q), and Q = 1 / (2 cos(angle of the pole))
        alpha = np.sin(omega) * np.cos(np.pi * (2 * number + 1) / (4 * _SECTIONS))
        gain = (1 + np.cos(omega)) / 2 / (1 + alpha)
        a1, a2 = -2 * np.cos(omega) / (1 + alpha), (1 - alpha) / (1 + alpha)
        # Transposed direct form II, y = s[0] + gain * x, fed by the sections before it.
        drive = np.array([-2 * gain - a1 * gain, gain - a2 * gain])
        matrix = np.block(
            [
                [matrix, np.zeros((len(matrix), 2))],
                [np.outer(drive, out), np.array([[-a1, 1.0], [-a2, 0.0]])],
            ]
        )
        entry = np.concatenate((entry, drive * through))
        out = np.concatenate((gain * out, [1.0, 0.0]))
        through *= gain
    powers = [np.eye(len(matrix))]
    for _ in range(_BLOCK):
        powers.append(matrix @ powers[-1])
    steps = np.array(powers)
    free = out @ steps[:_BLOCK]
    impulse = np.concatenate(([through], free[:-1] @ entry))
    response = np.zeros((_BLOCK, _BLOCK))
    for row in range(_BLOCK):
        response[row, : row + 1] = impulse[row::-1]
    chain = np.zeros((_TOGETHER + 1, len(matrix), _TOGETHER + 1, len(matrix)))
    for row in range(_TOGETHER + 1):
        for column in range(row + 1):
            chain[row, :, column] = np.linalg.matrix_power(steps[_BLOCK], row - column)
    return _Design(response, free, steps, (steps[:_BLOCK][::-1] @ entry).T, chain)
