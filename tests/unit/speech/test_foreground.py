"""Foreground: the speaker, and a quieter voice in the background."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.speech.foreground import SUSTAINED, Foreground, window_levels
from wyoming_faster_whisper.speech.hysteresis import WINDOW, windows
from wyoming_faster_whisper.testing import silence, tone

LEAST_SPEECH = windows(1.2)  # of the speaker, before another voice may be noticed


def after_speech(count: int = 50) -> Foreground:
    """Return the foreground after the speaker has spoken for some windows, at -20 dB."""
    foreground = Foreground()
    assert not any(feed(foreground, count, -20.0))
    return foreground


def feed(foreground: Foreground, count: int, level: float, *, speech: bool = True) -> list[bool]:
    return [foreground.take(level, speech=speech) for _ in range(count)]


def test_a_quieter_voice_is_noticed_after_a_second() -> None:
    found = feed(after_speech(), SUSTAINED + 20, -31.0)
    assert found == [False] * (SUSTAINED - 1) + [True] * 21


@pytest.mark.parametrize("level", [-27.0, -29.0])
def test_a_voice_that_is_nearly_as_loud_may_be_the_speakers(level: float) -> None:
    assert not any(feed(after_speech(), 100, level))


def test_a_quieter_voice_is_noticed_only_while_it_speaks() -> None:
    foreground = after_speech()
    assert not any(feed(foreground, SUSTAINED - 1, -31.0))
    assert feed(foreground, 3, -31.0, speech=False) == [False] * 3
    assert feed(foreground, 1, -31.0) == [True]


def test_the_time_until_a_quieter_voice_is_noticed_begins_with_speech() -> None:
    foreground = after_speech()
    feed(foreground, 1, -31.0, speech=False)
    assert feed(foreground, SUSTAINED, -31.0) == [False] * (SUSTAINED - 1) + [True]


def test_sounds_of_which_half_are_speech_are_not_a_voice() -> None:
    foreground = after_speech()
    for _ in range(20):
        assert not any(feed(foreground, 2, -31.0))
        assert not any(feed(foreground, 2, -31.0, speech=False))


def test_a_quieter_voice_is_noticed_once_the_speaker_has_spoken_for_a_second() -> None:
    assert feed(after_speech(LEAST_SPEECH), SUSTAINED, -31.0)[-1]
    assert not any(feed(after_speech(LEAST_SPEECH - 1), 150, -31.0))


def test_a_speaker_who_fades_for_less_than_a_second_is_heard_to_the_end() -> None:
    foreground = after_speech()
    assert not any(feed(foreground, SUSTAINED - 1, -40.0))
    assert not any(feed(foreground, 20, -22.0))


def test_silence_is_not_a_voice() -> None:
    foreground = after_speech()
    assert not any(feed(foreground, 100, -70.0, speech=False))
    # The speaker goes on softly after a pause.
    assert not any(feed(foreground, SUSTAINED // 2, -35.0))


def test_the_other_voice_may_pause_and_the_speaker_may_go_on() -> None:
    foreground = after_speech()
    feed(foreground, SUSTAINED, -35.0)
    assert all(feed(foreground, 100, -60.0, speech=False))
    assert all(feed(foreground, 10, -35.0))
    assert not any(feed(foreground, SUSTAINED, -22.0))


@pytest.mark.parametrize("speech", [True, False])
def test_a_clap_does_not_make_the_speaker_quiet(speech: bool) -> None:
    foreground = Foreground()
    feed(foreground, 3, 0.0, speech=speech)
    assert not any(feed(foreground, 200, -20.0))


def test_a_single_loud_word_does_not_make_the_speaker_quiet() -> None:
    foreground = Foreground()
    feed(foreground, 12, -10.0)
    assert not any(feed(foreground, 100, -30.0))


def test_an_order_may_be_quieter_than_the_wake_word_before_it() -> None:
    foreground = Foreground()
    feed(foreground, 25, -10.0)
    feed(foreground, 10, -60.0, speech=False)
    assert not any(feed(foreground, 100, -25.0))


@pytest.mark.parametrize(("pause", "noticed"), [(7, True), (8, False)])
def test_a_wake_word_is_forgotten_after_a_pause_of_a_quarter_of_a_second(
    pause: int, noticed: bool
) -> None:
    foreground = Foreground()
    feed(foreground, 25, -10.0)
    feed(foreground, pause, -60.0, speech=False)
    feed(foreground, 15, -18.0)
    assert any(feed(foreground, 100, -25.0)) is noticed


def test_a_wake_word_does_not_count_as_speech_before_a_quieter_voice() -> None:
    foreground = Foreground()
    feed(foreground, 25, -20.0)
    feed(foreground, 8, -60.0, speech=False)
    feed(foreground, LEAST_SPEECH - 1, -20.0)
    assert not any(feed(foreground, 100, -31.0))


@pytest.mark.parametrize("count", [LEAST_SPEECH, 60])
def test_a_television_may_begin_after_a_pause(count: int) -> None:
    foreground = after_speech(count)
    assert not any(feed(foreground, 15, -60.0, speech=False))
    assert feed(foreground, SUSTAINED + 5, -32.0)[-6:] == [True] * 6


def test_a_soft_end_is_the_speakers() -> None:
    foreground = after_speech()
    feed(foreground, 20, -35.0)
    assert not any(feed(foreground, 100, -70.0, speech=False))


def test_the_level_of_a_window_is_its_power() -> None:
    loud = 0.5 * tone(1.0)
    levels = window_levels(np.concatenate([loud, silence(0.1)]), 36)
    power = np.mean(loud[: SAMPLE_RATE // 2] ** 2)
    assert levels[5] == pytest.approx(10 * np.log10(power), abs=0.3)
    assert levels[-1] == pytest.approx(-100.0)


@pytest.mark.parametrize("size", [1, 3, 7, 25])
@pytest.mark.parametrize("pause", [0.0, 0.32])
@pytest.mark.parametrize("probability", [0.9, 0.5])
def test_a_voice_is_taken_back_to_the_last_window_of_the_speaker(
    size: int, pause: float, probability: float
) -> None:
    foreground, late = Foreground(threshold=0.5), []
    sound = np.concatenate([tone(1.504), silence(pause), 0.1 * tone(2.0)])
    sure = np.full(len(sound) // WINDOW, probability, np.float32)
    sure[47 : 47 + round(pause * SAMPLE_RATE) // WINDOW] = 0.1
    for first in range(0, len(sure), size):
        last = min(first + size, len(sure))
        found, more = foreground.feed(sound[first * WINDOW : last * WINDOW], sure[first:last])
        late += [last - more] if more else []
        assert bool(found[-1] < 0.1) == foreground.behind
    assert late == [47]


def test_no_more_than_five_seconds_of_silence_before_a_voice_are_taken_back_with_it() -> None:
    foreground = Foreground()
    sound = np.concatenate([tone(1.6), silence(9.6), 0.1 * tone(1.6)])
    sure = np.full(400, 0.9, np.float32)
    sure[50:350] = 0.1
    late = [
        foreground.feed(sound[at * WINDOW : (at + 1) * WINDOW], sure[at : at + 1])[1]
        for at in range(400)
    ]
    assert [each for each in late if each] == [SUSTAINED + windows(5.0)]


def test_nothing_is_taken_back_once_the_speaker_goes_on() -> None:
    sound = np.concatenate([tone(1.6), 0.1 * tone(1.6), tone(0.32)])
    sure = np.full(len(sound) // WINDOW, 0.9, np.float32)
    found, late = Foreground().feed(sound, sure)
    assert found[-11] == 0.0
    assert found[-1] > 0.0
    assert late == 0
