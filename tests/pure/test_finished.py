"""Does what was said before a silence sound finished?"""

from __future__ import annotations

import numpy as np

from wyoming_faster_whisper.engine.base import Closing
from wyoming_faster_whisper.speech.ending import Reading
from wyoming_faster_whisper.speech.finished import fall, reading
from wyoming_faster_whisper.testing import silence, tone

SURE = Closing(stop=-0.2, cut=-6.0)
OPEN = Closing(stop=-3.0, cut=-0.9)
FALLING, FLAT = (-20.0, -10.0), (-2.0, -1.0)  # dB


def test_a_sure_mark_and_a_voice_that_falls_are_the_end() -> None:
    assert reading("Turn it on.", SURE, FALLING) is Reading.FINISHED


def test_a_voice_that_does_not_fall_may_go_on() -> None:
    assert reading("Turn it on.", SURE, FLAT) is not Reading.FINISHED


def test_a_text_that_is_broken_off_goes_on() -> None:
    assert reading("Turn on the", OPEN, FLAT) is Reading.UNFINISHED
    assert reading("Turn on the...", OPEN, FALLING) is Reading.UNFINISHED


def test_no_text_is_nothing() -> None:
    assert reading("", SURE, FALLING) is Reading.NOTHING


def test_an_engine_that_does_not_say_makes_nobody_sure() -> None:
    assert reading("Turn it on.", None, FALLING) is Reading.UNSURE
    assert reading("Turn on the...", None, FALLING) is Reading.UNFINISHED


def test_a_voice_that_falls_is_quieter_at_its_end() -> None:
    sound = tone(1.0)
    sound[-1600:] *= 0.1
    last, before = fall(np.concatenate([sound, silence(0.2)]))
    assert round(last) == -20
    assert round(before) == 0


def test_one_that_is_cut_is_as_loud_as_before() -> None:
    last, before = fall(np.concatenate([tone(1.0), silence(0.2)]))
    assert (round(last), round(before)) == (0, 0)


def test_too_little_sound_has_no_fall() -> None:
    assert fall(tone(0.1)) == (0.0, 0.0)
    assert fall(silence(1.0)) == (0.0, 0.0)
