"""Generates noise and mixes it with speech.

The result is the same in each run: random generators are seeded with the clip's name.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.pcm import to_pcm16

from ..support.clips import SAMPLE_RATE, Clip, Samples, read_wav, spoken, to_samples

DISTANT = -30.0  # dB by which a distant voice is attenuated
FLOOR = -70.0  # dBFS: noise floor of a quiet room


def noise_of(recording: Path | None) -> Samples:
    """Return the noise of a recording, or generated noise of a kitchen."""
    return to_samples(read_wav(recording)) if recording else kitchen_like()


def degrade(clip: Clip, pcm: bytes, condition: str, noise: Samples) -> bytes:
    """Return a clip's PCM under a condition: "clean", "distant", or an SNR such as "10dB"."""
    if condition == "clean":
        return pcm
    samples = to_samples(pcm)
    if condition == "distant":
        return to_pcm16(from_afar(samples, clip.name))
    return to_pcm16(with_noise(samples, float(condition.removesuffix("dB")), noise, clip.name))


def with_noise(samples: Samples, snr: float, noise: Samples, seed: str) -> Samples:
    """Mix noise into speech.

    Args:
        snr: signal-to-noise ratio in dB, over the samples that contain speech.
        noise: source of an excerpt as long as the speech.
        seed: selects the excerpt.

    Returns:
        The mix at the level of the speech, or lower if it would clip.
    """
    excerpt = _excerpt(noise, len(samples), seed)
    voice = spoken(samples)
    wanted = np.mean(samples[voice] ** 2) / 10 ** (snr / 10)
    mixed = samples + excerpt * np.sqrt(wanted / (np.mean(excerpt[voice] ** 2) + 1e-12))
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)


def from_afar(samples: Samples, seed: str) -> Samples:
    """Attenuate a voice as at the other end of a quiet room, and add the noise of the room."""
    floor = _at(coloured(len(samples), 0.5, seed), FLOOR)
    return np.asarray(samples * 10 ** (DISTANT / 20) + floor, np.float32)


def coloured(count: int, exponent: float, seed: str) -> Samples:
    """Return noise of power 1 whose amplitude falls with frequency ** exponent.

    Exponent 0 is white noise, 0.5 pink, 1 brown.
    """
    spectrum = np.fft.rfft(_random(seed).standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    # Nothing below 20 Hz: it would take all the power, and no microphone picks it up.
    gain = np.where(frequency < 20, 0.0, np.maximum(frequency, 20) ** -exponent)
    return _at(np.fft.irfft(spectrum * gain, count).astype(np.float32), 0.0)


def kitchen_like() -> Samples:
    """Return a minute of noise like that of a kitchen's machines, for use without a recording."""
    count = 60 * SAMPLE_RATE
    hiss, rumble = coloured(count, 0.5, "hiss"), coloured(count, 1.0, "rumble")
    return _at(hiss + rumble, -40.0)


def babble(voices: Sequence[Samples], seconds: float = 60.0) -> Samples:
    """Return six speakers at once. They speak backwards: no word of theirs is recognised."""
    count, random = round(seconds * SAMPLE_RATE), _random("babble")
    mixed = np.zeros(count, np.float32)
    for _ in range(6):
        order = random.permutation(len(voices))
        mixed += np.resize(np.concatenate([_at(voices[n][::-1], -26.0) for n in order]), count)
    return _at(mixed, -40.0)


def silence_set(noise: Samples) -> list[Clip]:
    """Return sounds of 2 to 15 s without speech."""
    return [Clip(name, to_pcm16(sound), b"") for name, sound in _silences(noise)]


def _silences(noise: Samples) -> Iterator[tuple[str, Samples]]:
    for seconds in (2, 5, 15):
        yield f"digital zero, {seconds} s", np.zeros(seconds * SAMPLE_RATE, np.float32)
    for level, seconds in ((-70, 3), (-60, 8), (-50, 15)):
        yield _named("room noise", level, seconds, lambda n, s: coloured(n, 0.5, s))
    for level, seconds in ((-60, 2), (-40, 5), (-30, 10), (-20, 3), (-10, 5)):
        yield _named("white noise", level, seconds, lambda n, s: coloured(n, 0.0, s))
    for level, seconds in ((-50, 4), (-30, 10), (-15, 5)):
        yield _named("brown noise", level, seconds, lambda n, s: coloured(n, 1.0, s))
    for level, seconds in ((-45, 3), (-25, 10)):
        yield _named("mains hum", level, seconds, _hum)
    for hertz, seconds in ((220, 2), (440, 5), (1000, 10), (3000, 3)):
        yield _named(f"{hertz} Hz tone", -25, seconds, _note(hertz))
    for level, seconds in ((-20, 2), (-35, 5)):
        yield _named("beeps", level, seconds, lambda n, s: _tone(n, 2000) * _repeat(n, 0.2, 0.5))
    for level, seconds in ((-35, 3), (-45, 10)):
        yield _named("clicks", level, seconds, _clicks)
    for level, seconds in ((-20, 2), (-30, 5)):
        yield _named("slammed door", level, seconds, _door)
    for level, seconds in ((-20, 3), (-35, 8)):
        yield _named("bell", level, seconds, _bell)
    for seconds in (2, 5, 8, 12, 15):
        name = f"kitchen, {seconds} s"
        yield name, _excerpt(noise, seconds * SAMPLE_RATE, name)
    for seconds in (2, 5, 10, 15):
        name = f"kitchen 10 times as loud, {seconds} s"
        yield name, 10 * _excerpt(noise, seconds * SAMPLE_RATE, name)


def _named(
    what: str, level: int, seconds: int, make: Callable[[int, str], Samples]
) -> tuple[str, Samples]:
    """Return the name of a sound, and the sound in a quiet room at a level in dBFS."""
    name = f"{what} at {level} dB, {seconds} s"
    count = seconds * SAMPLE_RATE
    return name, _at(make(count, name), level) + _at(coloured(count, 0.5, name), FLOOR - 10)


def _hum(count: int, _: str) -> Samples:
    parts = [_tone(count, 50 * k) / np.float32(k) for k in (1, 2, 3, 5, 7)]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def _clicks(count: int, seed: str) -> Samples:
    random = _random(seed)
    sound = np.zeros(count, np.float32)
    for start in random.integers(0, count - 200, size=2 * count // SAMPLE_RATE):
        sound[start : start + 200] += random.standard_normal(200) * np.exp(-np.arange(200) / 30)
    return sound


def _door(count: int, seed: str) -> Samples:
    """Return a thud and its reverberation."""
    since = np.maximum(0, np.arange(count) / SAMPLE_RATE - 0.5)  # seconds
    blow = np.exp(-since / 0.03) * coloured(count, 1.0, seed)
    room = 0.2 * np.exp(-since / 0.25) * coloured(count, 0.5, seed)
    return np.asarray((blow + room) * (since > 0), np.float32)


def _bell(count: int, _: str) -> Samples:
    """Return two strokes of a bell, with its inharmonic partials."""
    sound = np.zeros(count, np.float32)
    for start in (0.3, 1.0):
        since = np.maximum(0, np.arange(count) / SAMPLE_RATE - start)
        for partial, loud, decay in (
            (1, 1, 0.8),
            (2.76, 0.6, 0.4),
            (5.4, 0.3, 0.2),
            (8.9, 0.2, 0.1),
        ):
            sound += (
                loud * np.exp(-since / decay) * np.sin(2 * np.pi * 700 * partial * since)
            ).astype(np.float32)
    return sound


def _note(hertz: float) -> Callable[[int, str], Samples]:
    return lambda count, _: _tone(count, hertz)


def _tone(count: int, hertz: float) -> Samples:
    return np.sin(2 * np.pi * hertz * np.arange(count) / SAMPLE_RATE).astype(np.float32)


def _repeat(count: int, on: float, every: float) -> Samples:
    """Return 1 for the first `on` seconds of each period of `every` seconds, else 0."""
    return (np.arange(count) / SAMPLE_RATE % every < on).astype(np.float32)


def _at(sound: Samples, level: float) -> Samples:
    """Scale a sound to an RMS level in dBFS."""
    power = np.sqrt(np.mean(sound**2)) + 1e-12
    return np.asarray(sound / power * 10 ** (level / 20), np.float32)


def _excerpt(noise: Samples, count: int, seed: str) -> Samples:
    """Return `count` samples from a random place; noise that is too short is repeated."""
    start = int(_random(seed).integers(len(noise)))
    return np.take(noise, range(start, start + count), mode="wrap")


def _random(seed: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(seed.encode()))
