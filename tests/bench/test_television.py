"""bench.television: mixing, scoring, and the levels of voices."""

from __future__ import annotations

import numpy as np
import pytest

from bench.support.clips import Clip
from bench.television import (
    SECONDS,
    Heard,
    Levels,
    after_wake_word,
    foreign,
    noticed,
    table,
    television,
)
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, to_pcm16
from wyoming_faster_whisper.testing import tone


def test_a_television_is_quieter_than_the_order_by_the_level() -> None:
    order = Clip("order", to_pcm16(0.5 * tone(2.0)), b"")
    show = Clip("show", to_pcm16(0.1 * tone(1.0)), b"")
    sound = television(order, show, -10.0)
    assert len(sound) == SECONDS * SAMPLE_RATE
    quieter = np.sqrt(np.mean(sound**2)) / np.sqrt(np.mean((0.5 * tone(2.0)) ** 2))
    assert 20 * np.log10(quieter) == pytest.approx(-10.0, abs=0.1)


def test_words_are_foreign_if_only_the_television_says_them() -> None:
    show = "The lights of the city went out."
    assert not foreign("Turn on the lights.", "Turn on the lights.", show)
    assert foreign("Turn on the lights of the city.", "Turn on the lights.", show)
    assert not foreign("Turn on the light.", "Turn on the lights.", show)


def test_a_voice_is_noticed_from_a_window_on() -> None:
    loud, soft = [-20.0] * 60, [-40.0] * 60
    sound = Levels(loud + soft, [True] * 120)
    assert noticed(sound, 8.0, 0.83, 60) == pytest.approx((60 + 26) * 0.032, abs=0.001)
    assert noticed(sound, 25.0, 0.83) is None


def test_an_order_after_a_louder_word_is_ten_decibels_softer() -> None:
    word, order = Levels([-30.0] * 50, [True] * 50), Levels([-40.0] * 70, [True] * 70)
    sound = after_wake_word(word, order)
    assert sound.levels[:25] == pytest.approx([-30.0] * 25)
    assert sound.speech == [True] * 25 + [False] * 10 + [True] * 70
    assert noticed(sound, 8.0, 0.83) is None


def test_the_table_shows_turns_that_ended_soon_and_foreign_words() -> None:
    heard = [
        Heard("this server", -10.0, "a", 0.9, "Lights on.", foreign=False),
        Heard("this server", -10.0, "b", 3.1, "Lights on and so.", foreign=True),
        Heard("reference", -10.0, "a", None, "", foreign=False),
    ]
    ours, theirs = table(heard).splitlines()[1:]
    assert ours.split() == "-10 dB this server 2 50% 2.00 s 3.10 s 50%".split()
    assert theirs.split() == "-10 dB reference 1 0% 0% ".split()
