"""Acoustic variations of a clip: level, hum, reverberation, noise, loss, tempo, channels.

Every function is pure and seeded: the same clip gives the same samples. Levels are in dBFS. The
level of speech is its active level: the mean over the 10 ms frames within 30 dB of the loudest.
"""

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..support.clips import FRAME, SAMPLE_RATE, Samples
from .noise import coloured

Stereo = NDArray[np.float32]  # shape (samples, 2)
Variation = Callable[[Samples, str], Samples | Stereo]
"""Takes clean speech at SPEECH_LEVEL, with silence around it, and a seed."""

SPEECH_LEVEL = -22.0

_ACTIVE = 30.0  # dB below the loudest frame down to which a frame is active
_PACKET = 320  # samples: 20 ms
_WINDOW = 640  # samples of a frame of tempo(): 40 ms
_SEARCH = 160  # samples by which a frame may move to match the previous one


def at_level(speech: Samples, level: float) -> Samples:
    """Scale speech to an active level."""
    frames = speech[: len(speech) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.mean(frames**2, axis=1)
    active = power[power >= power.max() / 10 ** (_ACTIVE / 10)]
    return _float(speech * (10 ** (level / 20) / np.sqrt(active.mean())))


def dc(offset: float, level: float) -> Variation:
    """Add a constant offset to speech."""
    return lambda speech, _: _float(at_level(speech, level) + offset)


def decaying_dc(offset: float, seconds: float, level: float) -> Variation:
    """Add an offset that decays to 1/e in `seconds` seconds."""

    def vary(speech: Samples, _: str) -> Samples:
        return _float(at_level(speech, level) + offset * np.exp(-_times(speech) / seconds))

    return vary


def hum(hertz: float, overtones: dict[int, float], level: float) -> Variation:
    """Add mains hum to speech.

    Args:
        hertz: fundamental frequency.
        overtones: RMS level of each multiple of the fundamental, 1 included.
        level: of the speech.
    """

    def vary(speech: Samples, _: str) -> Samples:
        tones = [
            np.sqrt(2) * 10 ** (loud / 20) * np.sin(2 * np.pi * hertz * times * _times(speech))
            for times, loud in overtones.items()
        ]
        return _float(at_level(speech, level) + np.sum(tones, axis=0))

    return vary


def noise(exponent: float, snr: float) -> Variation:
    """Add white (exponent 0) or pink (0.5) noise, `snr` dB below the active level of speech."""

    def vary(speech: Samples, seed: str) -> Samples:
        level = 10 ** ((SPEECH_LEVEL - snr) / 20)
        return _float(speech + level * coloured(len(speech), exponent, seed))

    return vary


def reverberation(rt60: float, below: float) -> Variation:
    """Add a room: after the direct sound, noise that decays by 60 dB in rt60 seconds.

    Args:
        below: direct-to-reverberant energy ratio in dB.
    """

    def vary(speech: Samples, seed: str) -> Samples:
        count = round(min(rt60, 3.0) * SAMPLE_RATE)
        late = coloured(count, 0.5, seed) * 10 ** (-3 * np.arange(count) / SAMPLE_RATE / rt60)
        late[: SAMPLE_RATE // 200] = 0  # 5 ms to the nearest wall
        late *= 10 ** (-below / 20) / np.sqrt(np.sum(late**2))
        response = np.concatenate(([1.0], late))
        size = len(speech) + len(response)
        wet = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(response, size), size)
        return _float(wet[: len(speech)])

    return vary


def band(lowest: float, highest: float) -> Variation:
    """Keep the band between two frequencies in Hz."""

    def vary(speech: Samples, _: str) -> Samples:
        frequency = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
        # Fourth-order slopes, as a microphone has no brick-wall limits.
        low = 1 / np.sqrt(1 + (lowest / np.maximum(frequency, 1)) ** 8)
        high = 1 / np.sqrt(1 + (frequency / highest) ** 8)
        return _float(np.fft.irfft(np.fft.rfft(speech) * low * high, len(speech)))

    return vary


def telephone(speech: Samples, seed: str) -> Samples:
    """Keep 300 to 3400 Hz, and nothing from 4 kHz on, as in 8 kHz audio."""
    spectrum = np.fft.rfft(band(300, 3400)(speech, seed))
    spectrum[np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE) >= 4000] = 0
    return _float(np.fft.irfft(spectrum, len(speech)))


def clipped(gain: float) -> Variation:
    """Amplify by `gain` dB and clip at full scale."""
    return lambda speech, _: _float(np.clip(speech * 10 ** (gain / 20), -1, 1))


def lost(share: float) -> Variation:
    """Replace a share of the packets of 20 ms, chosen at random, with silence."""

    def vary(speech: Samples, seed: str) -> Samples:
        random = np.random.default_rng(zlib.crc32(seed.encode()))
        kept = random.random(len(speech) // _PACKET + 1) >= share
        return _float(speech * np.repeat(kept, _PACKET)[: len(speech)])

    return vary


def tempo(factor: float) -> Variation:
    """Change the tempo, faster above 1, at the same pitch: waveform-similarity overlap-add."""

    def vary(speech: Samples, _: str) -> Samples:
        hop = _WINDOW // 2
        window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
        padded = np.pad(speech, (_SEARCH, 2 * _WINDOW + _SEARCH))
        count = round(len(speech) / factor)
        out = np.zeros(count + 2 * _WINDOW, np.float32)
        following = padded[_SEARCH : _SEARCH + _WINDOW]  # what would follow at the original tempo
        for at in range(0, count, hop):
            first = round(at * factor)
            region = padded[first : first + _WINDOW + 2 * _SEARCH]
            start = first + int(np.correlate(region, following, "valid").argmax())
            out[at : at + _WINDOW] += window * padded[start : start + _WINDOW]
            following = padded[start + hop : start + hop + _WINDOW]
        return out[:count]

    return vary


def opposite_phase(speech: Samples, _: str) -> Stereo:
    """Return two channels in opposite phase."""
    return _float(np.stack((speech, -speech), axis=1))


def dead_channel(speech: Samples, _: str) -> Stereo:
    """Return two channels, the first of them silent."""
    return _float(np.stack((np.zeros_like(speech), speech), axis=1))


VARIATIONS: dict[str, Variation] = {
    **{
        f"dc{offset:g}-{-level}dBFS": dc(offset, level)
        for offset in (0.02, 0.1, 0.3)
        for level in (-40, -50)
    },
    "dcdecay": decaying_dc(0.3, 8.0, -42),
    "hp300": band(300, SAMPLE_RATE),
    "hum50q": hum(50, {1: -20, 3: -30}, -42),
    "hum50qq": hum(50, {1: -14, 3: -34, 5: -40}, -48),
    "hum60": hum(60, {1: -26, 2: -32, 3: -36}, -36),
    "reverb0.5": reverberation(0.5, 3),
    "reverb1": reverberation(1.0, 3),
    "white20": noise(0.0, 20),
    "white10": noise(0.0, 10),
    "white3": noise(0.0, 3),
    "pink10": noise(0.5, 10),
    "tempo0.7": tempo(0.7),
    "tempo0.85": tempo(0.85),
    "tempo1.3": tempo(1.3),
    "antiphase": opposite_phase,
    "deadchannel": dead_channel,
    "clipped": clipped(24),
    "telephone": telephone,
    "quiet": lambda speech, _: at_level(speech, -50),
}


def _times(sound: Samples) -> NDArray[np.float64]:
    """Return the time of each sample in seconds."""
    return np.arange(len(sound)) / SAMPLE_RATE


def _float(sound: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(sound, np.float32)
