"""Foreground: the speaker, and a quieter voice in the background."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.speech.foreground import SUSTAINED, Foreground, window_levels
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.testing import silence, tone


def after_speech(seconds: int = 50) -> Foreground:
    """Return the foreground after the speaker has spoken, at -20 dB."""
    foreground = Foreground()
    assert not any(feed(foreground, seconds, -20.0))
    return foreground


def feed(
    foreground: Foreground, windows: int, level: float, *, speech: bool = True
) -> list[bool]:
    return [foreground.take(level, speech=speech) for _ in range(windows)]


def test_a_quieter_voice_is_noticed_after_a_second() -> None:
    found = feed(after_speech(), SUSTAINED + 20, -31.0)
    assert found == [False] * (SUSTAINED - 1) + [True] * 21


def test_a_voice_that_is_nearly_as_loud_may_be_the_speakers() -> None:
    assert not any(feed(after_speech(), 100, -27.0))


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


def test_a_television_may_begin_after_a_pause() -> None:
    foreground = after_speech(60)
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


def test_windows_of_a_voice_are_taken_back_when_it_is_noticed() -> None:
    foreground, late = Foreground(), []
    sound = np.concatenate([tone(1.5), 0.1 * tone(2.0)])
    count = len(sound) // WINDOW
    for first in range(0, count, 3):
        last = min(first + 3, count)
        sure = np.full(last - first, 0.9, np.float32)
        found, more = foreground.feed(sound[first * WINDOW : last * WINDOW], sure)
        late += [last - more] if more else []
        assert bool(found[-1]) != foreground.behind
    [begin] = late
    assert begin * WINDOW / SAMPLE_RATE == pytest.approx(1.5, abs=0.04)
