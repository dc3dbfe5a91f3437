"""Acoustic variations of bench.kinds: levels, offsets, hum, rooms, tempo and channels."""

from __future__ import annotations

import numpy as np
import pytest

from bench.speech.variations import (
    SPEECH_LEVEL,
    VARIATIONS,
    at_level,
    band,
    clipped,
    dc,
    decaying_dc,
    hum,
    lost,
    noise,
    opposite_phase,
    reverberation,
    tempo,
)
from bench.support.clips import SAMPLE_RATE, Samples
from wyoming_faster_whisper.testing import tone

HALF = SAMPLE_RATE // 2


def speech(hertz: float = 440.0) -> Samples:
    """Return a one-second tone with half a second of digital silence on both sides."""
    sound = np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    return at_level(np.pad(sound, HALF).astype(np.float32), SPEECH_LEVEL)


def level(sound: Samples) -> float:
    """Return the RMS of the sound without its mean, in dBFS."""
    return float(20 * np.log10(np.std(sound) + 1e-12))


def spectrum(sound: Samples, hertz: float) -> float:
    """Return the amplitude at a frequency in Hz."""
    wave = np.exp(-2j * np.pi * hertz * np.arange(len(sound)) / SAMPLE_RATE)
    return float(2 * np.abs(np.mean(sound * wave)))


@pytest.mark.parametrize("name", VARIATIONS)
def test_variations_are_reproducible(name: str) -> None:
    first, again = (VARIATIONS[name](speech(), "seed") for _ in range(2))
    assert first.dtype == np.float32
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", [name for name in VARIATIONS if "tempo" not in name])
def test_a_variation_keeps_the_length(name: str) -> None:
    assert len(VARIATIONS[name](speech(), "seed")) == 2 * SAMPLE_RATE


def test_the_speech_level_ignores_silence_around_the_speech() -> None:
    assert level(at_level(np.pad(tone(1.0), HALF), -40)[HALF:-HALF]) == pytest.approx(
        -40, abs=0.2
    )


def test_a_dc_offset_is_present_before_during_and_after_the_speech() -> None:
    sound = dc(0.1, -50)(speech(), "")
    assert np.allclose(sound[:HALF], 0.1)
    assert np.allclose(sound[-HALF:], 0.1)
    assert level(sound[HALF:-HALF]) == pytest.approx(-50, abs=0.2)


def test_a_decaying_dc_offset_falls_to_1_over_e() -> None:
    sound = decaying_dc(0.3, 1.9, -42)(speech(), "")
    assert sound[0] == pytest.approx(0.3)
    assert sound[round(1.9 * SAMPLE_RATE)] == pytest.approx(0.3 / np.e, abs=1e-4)


def test_the_overtones_of_hum_have_their_levels() -> None:
    sound = hum(50, {1: -20, 3: -30}, -50)(speech(), "")
    amplitude = np.sqrt(2) * 10 ** (np.array([-20, -30]) / 20)
    assert spectrum(sound, 50) == pytest.approx(amplitude[0], rel=0.01)
    assert spectrum(sound, 100) < 0.001
    assert spectrum(sound, 150) == pytest.approx(amplitude[1], rel=0.01)


def test_noise_has_the_requested_ratio_to_the_speech() -> None:
    assert level(noise(0.0, 3)(speech(), "a")[:HALF]) == pytest.approx(SPEECH_LEVEL - 3, abs=0.3)
    assert not np.array_equal(noise(0.0, 3)(speech(), "a"), noise(0.0, 3)(speech(), "b"))


@pytest.mark.parametrize("rt60", [0.3, 0.6])
def test_reverberation_decays_by_60_db_in_its_time(rt60: float) -> None:
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[0] = 1
    sound = reverberation(rt60, 0)(click, "room")
    tenth = SAMPLE_RATE // 10
    fall = level(sound[tenth // 2 : tenth]) - level(sound[tenth // 2 + tenth : 2 * tenth])
    assert sound[0] == pytest.approx(1)
    assert fall == pytest.approx(60 * 0.1 / rt60, rel=0.2)


def test_a_300_hz_high_pass_microphone_keeps_higher_frequencies() -> None:
    low, high = (spectrum(band(300, SAMPLE_RATE)(speech(f), ""), f) for f in (100, 1000))
    assert low < 0.02 * high


def test_samples_beyond_full_scale_are_clipped() -> None:
    sound = clipped(30)(speech(), "")
    assert np.abs(sound).max() == 1
    assert np.mean(np.abs(sound[HALF:-HALF]) == 1) > 0.5


@pytest.mark.parametrize("factor", [0.7, 0.85, 1.3])
def test_a_tempo_changes_the_length_and_not_the_pitch(factor: float) -> None:
    sound = tempo(factor)(speech(), "")
    assert len(sound) == round(2 * SAMPLE_RATE / factor)
    middle = sound[len(sound) // 2 - 4000 : len(sound) // 2 + 4000]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 220  # bins of 2 Hz
    assert level(middle) == pytest.approx(SPEECH_LEVEL, abs=0.5)


def test_channels_of_opposite_phase_cancel() -> None:
    sound = opposite_phase(speech(), "")
    assert sound.shape == (2 * SAMPLE_RATE, 2)
    assert not sound.sum(axis=1).any()


def test_whole_packets_are_lost() -> None:
    sound = np.ones(10 * SAMPLE_RATE, np.float32)
    packets = lost(0.1)(sound, "seed").reshape(-1, 320)
    assert set(packets.sum(axis=1)) == {0.0, 320.0}
    assert np.mean(packets) == pytest.approx(0.9, abs=0.05)
