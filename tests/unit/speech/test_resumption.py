"""Resumption: noise after a pause is not the speaker who goes on."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.speech.hysteresis import windows
from wyoming_faster_whisper.speech.resumption import Resumption

VOICE, CLATTER = 0.97, 0.7
POSSIBLE = 0.9 * 0.35  # what clatter becomes
SPOKEN = [VOICE] * 40
PAUSE = [0.1] * 10


def heard(*probabilities: float) -> object:
    return pytest.approx(Resumption().feed(np.array(probabilities, np.float32)).tolist())


def test_clatter_after_the_speech_is_only_possible_speech() -> None:
    assert heard(*SPOKEN, *PAUSE, *[CLATTER] * 20) == [*SPOKEN, *PAUSE, *[POSSIBLE] * 20]


def test_a_speaker_who_goes_on_is_heard_from_the_first_sure_window_on() -> None:
    soft = [*SPOKEN, *PAUSE, 0.6, VOICE, 0.6, VOICE]
    assert heard(*soft) == [*SPOKEN, *PAUSE, POSSIBLE, VOICE, 0.6, VOICE]


def test_the_least_probable_speech_after_a_pause_is_compared_with_the_speaker() -> None:
    assert heard(*SPOKEN, *PAUSE, 0.5) == [*SPOKEN, *PAUSE, POSSIBLE]


def test_a_pause_lasts_four_windows() -> None:
    assert heard(*SPOKEN, *PAUSE[:4], 0.6) == [*SPOKEN, *PAUSE[:4], POSSIBLE]
    assert heard(*SPOKEN, *PAUSE[:3], 0.6) == [*SPOKEN, *PAUSE[:3], 0.6]


def test_a_second_of_speech_is_enough_to_compare_with() -> None:
    second = [VOICE] * windows(1.0)
    assert heard(*second, *PAUSE, 0.6) == [*second, *PAUSE, POSSIBLE]


def test_a_speaker_who_has_moved_away_is_compared_with_the_last_five_seconds() -> None:
    walking = [VOICE] * 200 + [0.7] * windows(5.0)
    assert heard(*walking, *PAUSE, 0.6) == [*walking, *PAUSE, 0.6]


def test_soft_sounds_within_speech_are_heard() -> None:
    assert heard(*SPOKEN, 0.1, 0.1, 0.6) == [*SPOKEN, 0.1, 0.1, 0.6]


def test_speech_that_goes_on_softly_has_no_pause() -> None:
    soft = [0.4] * 10  # between the two thresholds of the hysteresis
    assert heard(*SPOKEN, *soft, 0.6) == [*SPOKEN, *soft, 0.6]


def test_a_distant_speaker_is_compared_with_himself() -> None:
    distant = [0.7] * 40
    assert heard(*distant, *PAUSE, 0.6) == [*distant, *PAUSE, 0.6]


def test_nothing_is_compared_with_a_short_word() -> None:
    assert heard(*SPOKEN[:20], *PAUSE, 0.6) == [*SPOKEN[:20], *PAUSE, 0.6]


@pytest.mark.parametrize("size", [1, 7])
def test_the_chunks_do_not_matter(size: int) -> None:
    whole = np.array([*SPOKEN, *PAUSE, *[CLATTER] * 9, *SPOKEN], np.float32)
    follower = Resumption()
    parts = [follower.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert np.concatenate(parts).tolist() == Resumption().feed(whole).tolist()
