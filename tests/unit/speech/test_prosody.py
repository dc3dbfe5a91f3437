"""Prosody of a voice at the end of speech."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.speech.prosody import Prosody, harmonicity, measure_prosody
from wyoming_faster_whisper.testing import silence, tone


def heard(sound: Samples, *, late: float = 0.03, room: float = 0.2) -> Prosody:
    """Measure the prosody of audio whose end the VAD reports late by that many seconds."""
    spoken = len(sound) + round(late * SAMPLE_RATE)
    return measure_prosody(np.concatenate([sound, silence(room)]), spoken)


def test_a_voice_that_fades_is_quieter_at_its_end() -> None:
    sound = tone(1.0)
    sound[-SAMPLE_RATE // 5 :] *= 0.1
    found = heard(sound)
    assert found.end == pytest.approx(1.0, abs=0.011)
    assert found.loudness == pytest.approx(-20, abs=1.5)


def test_a_voice_that_is_cut_off_is_as_loud_as_before() -> None:
    assert heard(tone(1.0)).loudness == pytest.approx(0, abs=1.5)


def test_the_last_50_ms_of_a_voice_are_measured_separately() -> None:
    sound = tone(1.0)
    sound[-SAMPLE_RATE // 20 :] *= 0.1
    found = heard(sound)
    assert found.final_loudness == pytest.approx(-20, abs=1.5)
    assert found.loudness == pytest.approx(-5, abs=1.5)


def test_a_voice_is_harmonic_and_a_breath_is_not() -> None:
    breath = tone(1.0)
    noise = np.random.default_rng(1).normal(0, 0.05, SAMPLE_RATE // 5)
    breath[-SAMPLE_RATE // 5 :] = noise.astype(np.float32)
    assert heard(tone(1.0)).harmonicity > 0.85
    assert heard(breath).harmonicity < 0.5


def test_a_voice_that_fades_loses_its_overtones_first() -> None:
    bright = tone(1.0, hertz=220) + 0.2 * tone(1.0, hertz=2200)
    dull = bright.copy()
    dull[-SAMPLE_RATE // 5 :] = tone(0.2, hertz=220)
    assert abs(heard(bright).spectral_tilt) < 3
    assert heard(dull).spectral_tilt > 10


def test_spectral_tilt_depends_only_on_the_last_seconds() -> None:
    found = heard(np.concatenate([0.1 * tone(20.0, hertz=3000), tone(6.0)]))
    assert found.end == pytest.approx(26.0, abs=0.011)
    assert found.spectral_tilt == pytest.approx(heard(tone(6.0)).spectral_tilt, abs=0.1)


@pytest.mark.parametrize("late", [0.0, 0.1, 0.15])
def test_the_end_of_a_voice_follows_from_its_loudness_and_not_from_a_late_vad(
    late: float,
) -> None:
    assert heard(tone(1.0), late=late).end == pytest.approx(1.0, abs=0.02)


def test_the_fading_end_of_long_speech_is_not_taken_for_room_noise() -> None:
    sound = tone(3.0)
    sound[-SAMPLE_RATE // 2 :] *= 0.05
    assert heard(sound, room=0.13).end == pytest.approx(3.0, abs=0.011)


def test_noise_after_a_voice_is_not_part_of_it() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.02, SAMPLE_RATE * 3 // 2).astype(np.float32)
    noise[: SAMPLE_RATE // 5] = 0.0  # the noise begins later, so the room is measured as quiet
    noise[:SAMPLE_RATE] += tone(1.0)
    found = measure_prosody(noise, SAMPLE_RATE * 5 // 4)
    assert found.end == pytest.approx(1.0, abs=0.03)


def test_a_click_after_a_voice_is_not_part_of_it() -> None:
    sound = np.concatenate([tone(1.0), silence(0.2)])
    sound[-800:-400] = 0.3
    assert measure_prosody(sound, SAMPLE_RATE + 512).end == pytest.approx(1.0, abs=0.011)


def test_too_little_audio_has_no_prosody() -> None:
    assert measure_prosody(tone(0.1), 1600) == Prosody(0.1)
    assert measure_prosody(silence(1.0), SAMPLE_RATE).loudness == 0.0


def test_speech_without_silence_after_it_is_measured_too() -> None:
    assert measure_prosody(tone(1.0), SAMPLE_RATE).end == pytest.approx(1.0, abs=0.011)


def test_speech_of_200_ms_is_long_enough_to_be_measured() -> None:
    assert heard(tone(0.2), late=0.0).harmonicity > 0.85


def noisy(sound: Samples, power: float) -> Samples:
    """Add white noise of that power, relative to the sound's."""
    level = np.sqrt(power * np.mean(sound**2))
    noise = np.random.default_rng(3).normal(0, level, len(sound))
    return (sound + noise).astype(np.float32)


@pytest.mark.parametrize(("power", "share"), [(0.1, 0.91), (1.0, 0.5)])
def test_harmonicity_is_the_share_of_the_power_that_is_periodic(
    power: float, share: float
) -> None:
    assert heard(noisy(tone(1.0), power)).harmonicity == pytest.approx(share, abs=0.08)


def test_harmonicity_is_the_mean_over_the_last_200_ms() -> None:
    half = noisy(tone(1.0), 0.0)
    half[-SAMPLE_RATE // 10 :] = np.random.default_rng(1).normal(0, 0.3, SAMPLE_RATE // 10)
    assert 0.5 < heard(half).harmonicity < 0.8


def test_harmonicity_of_a_sound_is_the_mean_over_all_of_it() -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, SAMPLE_RATE).astype(np.float32)
    assert harmonicity(tone(1.0)) > 0.85
    assert harmonicity(noise) < 0.4
    both = harmonicity(np.concatenate([tone(1.0), noise]))
    assert both == pytest.approx((harmonicity(tone(1.0)) + harmonicity(noise)) / 2, abs=0.05)


def test_the_harmonicity_of_a_long_sound_takes_little_memory() -> None:
    sound = tone(28.0)
    tracemalloc.start()
    try:
        harmonicity(sound)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_dc_offset_is_not_harmonic() -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, SAMPLE_RATE).astype(np.float32)
    plain = measure_prosody(noise, SAMPLE_RATE)
    assert measure_prosody(noise + 0.3, SAMPLE_RATE).harmonicity == pytest.approx(
        plain.harmonicity, abs=0.1
    )


def test_spectral_tilt_is_in_decibels() -> None:
    voice, overtone = tone(2.0, hertz=220), tone(2.0, hertz=2200)
    fading = 0.2 * overtone
    fading[-SAMPLE_RATE // 5 :] *= 0.5
    # The overtone loses 6.0 dB in the last tenth, which is part of the mean it is compared with.
    assert heard(voice + fading).spectral_tilt == pytest.approx(0.9 * 6.0, abs=0.3)


def test_spectral_tilt_is_limited_to_20_db() -> None:
    low, high = tone(2.0, hertz=220), tone(2.0, hertz=2200)
    low[-SAMPLE_RATE // 5 :] = high[-SAMPLE_RATE // 5 :]
    assert heard(low).spectral_tilt == -20.0
    high = tone(2.0, hertz=2200)
    high[-SAMPLE_RATE // 5 :] = tone(0.2, hertz=220)
    assert heard(high).spectral_tilt == 20.0


def test_a_voice_that_gets_louder_at_its_end_counts_as_unfaded() -> None:
    sound = 0.25 * tone(3.0)
    sound[-SAMPLE_RATE // 5 :] *= 4
    found = heard(sound)
    assert (found.loudness, found.final_loudness) == (0.0, 0.0)


def test_the_ratio_of_the_voice_to_the_noise_of_the_room() -> None:
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    noise[:SAMPLE_RATE] *= 10  # 20 dB
    found = measure_prosody(0.01 * noise, SAMPLE_RATE)
    assert found.snr == pytest.approx(20, abs=2)


def test_a_click_after_a_long_voice_is_not_part_of_it() -> None:
    sound = np.concatenate([tone(6.0), silence(0.2)])
    sound[-800:-400] = 0.3
    assert measure_prosody(sound, 6 * SAMPLE_RATE + 512).end == pytest.approx(6.0, abs=0.011)


def test_in_a_noisy_room_the_soft_end_of_a_voice_is_part_of_it() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 2 * SAMPLE_RATE).astype(np.float32)
    noise[:SAMPLE_RATE] *= 10 ** (10 / 20)
    noise[SAMPLE_RATE : SAMPLE_RATE * 13 // 10] *= 10 ** (4 / 20)
    found = measure_prosody(noise, SAMPLE_RATE * 13 // 10)
    assert found.end == pytest.approx(1.3, abs=0.02)


def test_before_a_noise_that_is_louder_a_voice_ends_where_the_vad_ends_it() -> None:
    sound = np.concatenate([0.05 * tone(1.0), tone(1.0)])
    assert measure_prosody(sound, SAMPLE_RATE).end == pytest.approx(1.0)


def test_loudness_is_limited_to_minus_40_db() -> None:
    sound = np.concatenate([tone(2.0), silence(0.5), 0.02 * tone(0.01)])
    found = heard(sound)
    assert found.end == pytest.approx(2.51, abs=0.011)
    assert (found.loudness, found.final_loudness) == (-40.0, -40.0)


def test_a_dc_offset_that_drifts_is_not_harmonic() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    drift = noise + tone(1.0, hertz=5)
    plain = measure_prosody(noise, SAMPLE_RATE).harmonicity
    assert measure_prosody(drift, SAMPLE_RATE).harmonicity == pytest.approx(plain, abs=0.2)
