"""Mixes several channels down to mono. Pure.

Channels are averaged. If two of them carry the same signal in opposite phase (a balanced
microphone on two inputs, a cable with swapped wires), one is inverted first, because their mean
would be silence. A channel without a signal is left out, because it would halve the level.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.float32]
"""Samples of all channels, shape (n, channels)."""

# Correlation of two channels over the stream so far. It is 0 or more for ordinary stereo, -1 for
# an inverted channel, and -0.5 for an inverted channel with as much noise as signal.
_OPPOSITE = -0.5
_NO_LONGER_OPPOSITE = -0.3  # hysteresis: keeps a stream from switching back and forth

_DEAD = 1e-9  # highest variance of a channel without signal: one bit of 16-bit noise

_HELD = 64 * 1024  # maximum bytes buffered until the first decision


class Downmix:
    """The downmix of one stream; chunks may have any length.

    Args:
        channels: at least 1.
        rate: frames per second.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._signs = np.ones(channels, np.float32)  # -1 = inverted, 0 = left out
        self._sum = np.zeros(channels)
        self._products = np.zeros((channels, channels))  # of each pair of channels
        self._count = 0  # frames so far
        # Less than 0.1 s is not enough: two independent hums may be in opposite phase that long.
        self._next = min(rate // 10, _HELD // (4 * channels))  # frames at the next decision
        self._step = rate // 100  # frames between two decisions and of a cross-fade
        self._held: list[Frames] | None = []  # buffered until the first decision

    def mix(self, frames: Frames, *, last: bool) -> npt.NDArray[np.float32]:
        """Take more frames; return the samples that are ready.

        Args:
            frames: shape (n, channels), -1 to 1.
            last: the stream ends with these frames.

        Returns:
            Shape (m,); one sample per frame, but nothing until the first decision, and then the
            buffered frames as well.
        """
        exact = frames.astype(np.float64)
        self._sum += exact.sum(axis=0)
        self._products += exact.T @ exact
        self._count += len(frames)
        if self._held is not None:
            self._held.append(frames)
            if self._count < self._next and not last:
                return np.zeros(0, np.float32)
            frames, self._held = np.concatenate(self._held), None
            # No sample has been returned yet, so there is nothing to cross-fade from.
            if self._count >= self._next:
                self._signs = self._decide()
        if self._count < self._next:
            return _mean(frames, self._signs)
        self._next = self._count + self._step
        before, self._signs = self._signs, self._decide()
        if np.array_equal(before, self._signs):
            return _mean(frames, self._signs)
        fade, rest = frames[: self._step], frames[self._step :]
        share = np.linspace(0, 1, len(fade), dtype=np.float32)
        faded = (1 - share) * _mean(fade, before) + share * _mean(fade, self._signs)
        return np.concatenate([faded, _mean(rest, self._signs)])

    def _decide(self) -> npt.NDArray[np.float32]:
        """Return the sign of each channel, 0 for those without a signal."""
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        variance = covariance.diagonal()
        alive = [int(channel) for channel in np.argsort(-variance) if variance[channel] > _DEAD]
        if not alive:
            return self._signs
        signs = np.zeros_like(self._signs)
        deviation = np.sqrt(np.maximum(variance, _DEAD))
        correlation = covariance / np.outer(deviation, deviation)
        for at, channel in enumerate(alive):
            signs[channel] = 1
            if at:
                # The most correlated of the channels whose sign is known.
                like = max(alive[:at], key=lambda other: abs(correlation[channel, other]))
                opposite = self._signs[channel] * self._signs[like] < 0
                limit = _NO_LONGER_OPPOSITE if opposite else _OPPOSITE
                if correlation[channel, like] < limit:
                    signs[channel] = -signs[like]
                elif correlation[channel, like] > -_OPPOSITE:
                    signs[channel] = signs[like]
        # Which of two channels is inverted is arbitrary, but must not change.
        if float(signs @ self._signs) < 0:
            signs *= -1
        return signs


def _mean(frames: Frames, signs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if (signs == 1).all():
        mean: npt.NDArray[np.float32] = frames.mean(axis=1, dtype=np.float32)
        return mean
    mixed: npt.NDArray[np.float32] = frames @ (signs / np.abs(signs).sum())
    return mixed
