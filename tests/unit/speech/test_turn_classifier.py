"""Does what was said before a silence sound finished?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from wyoming_faster_whisper.engine.protocol import Closing
from wyoming_faster_whisper.speech.endpointing import Reading
from wyoming_faster_whisper.speech.prosody import Voice
from wyoming_faster_whisper.speech.turn_classifier import odds, reading

# The voice ends at 1 s: 0.2 s after the decoder has heard all of it, or at once.
SURE = Closing(stop=-0.1, cut=-5.0, trail=-6.0, word=-0.02, end=0.8)
OPEN = Closing(stop=-3.0, cut=-0.9, trail=-2.0, word=-1.0, end=1.0)
FADING, LOUD = Voice(1.0, -20.0, 0.7, ebb=-25.0), Voice(1.0, -8.0, 0.7, ebb=-10.0)


def test_a_sure_mark_and_a_voice_that_fades_are_the_end() -> None:
    assert reading("Turn it on.", SURE, FADING) is Reading.FINISHED


def test_a_text_that_is_broken_off_goes_on() -> None:
    assert reading("Turn on the", OPEN, LOUD) is Reading.UNFINISHED
    assert reading("Turn on the...", OPEN, FADING) is Reading.UNFINISHED


def test_no_text_is_nothing() -> None:
    assert reading("", SURE, FADING) is Reading.NOTHING


def test_an_engine_that_does_not_say_makes_nobody_sure() -> None:
    assert reading("Turn it on.", None, FADING) is Reading.UNSURE
    assert reading("Turn on the...", None, FADING) is Reading.UNFINISHED


@pytest.mark.parametrize(
    "less",
    [
        (replace(SURE, stop=-2.0), FADING),
        (replace(SURE, cut=-2.0), FADING),
        (replace(SURE, trail=-2.0), FADING),
        (replace(SURE, word=-2.0), FADING),  # half a word
        (replace(SURE, end=1.0), FADING),  # a short last syllable
        (SURE, LOUD),
        (SURE, replace(FADING, tone=0.2)),  # the room rather than a voice
        (SURE, replace(FADING, ebb=-5.0)),
    ],
    ids=[
        "no mark",
        "a dash",
        "three points",
        "a word unheard of",
        "no drawl",
        "as loud as before",
        "no tone",
        "loud to the end",
    ],
)
def test_each_sign_alone_makes_it_less_likely(less: tuple[Closing, Voice]) -> None:
    assert odds(*less) < odds(SURE, FADING) - 0.5


def test_a_sign_that_is_beyond_belief_is_no_stronger_for_it() -> None:
    assert odds(replace(SURE, end=-9.0), FADING) == odds(replace(SURE, end=0.5), FADING)
    assert odds(replace(SURE, word=0.0), FADING) == pytest.approx(
        odds(replace(SURE, word=-0.0), FADING)
    )
    assert odds(replace(SURE, stop=-90.0), FADING) == odds(replace(SURE, stop=-12.0), FADING)
