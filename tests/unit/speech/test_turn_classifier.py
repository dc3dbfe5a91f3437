"""End-of-turn classification from text scores and prosody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.speech.endpointing import EndOfTurn
from wyoming_faster_whisper.speech.prosody import Prosody
from wyoming_faster_whisper.speech.turn_classifier import (
    EndOfTextScores,
    classify_text,
)

classify_end_of_turn = ENGLISH.end_of_turn.classify
log_odds = ENGLISH.end_of_turn.log_odds

# The voice ends at 1 s. With SURE the text ends 0.2 s earlier, with OPEN at the same time.
SURE = EndOfTextScores(full_stop=-0.1, dash=-5.0, ellipsis=-6.0, last_word=-0.02, text_end=0.8)
OPEN = EndOfTextScores(full_stop=-3.0, dash=-0.9, ellipsis=-2.0, last_word=-1.0, text_end=1.0)
FADING, LOUD = (
    Prosody(1.0, -20.0, 0.7, final_loudness=-25.0),
    Prosody(1.0, -8.0, 0.7, final_loudness=-10.0),
)


def test_a_likely_full_stop_and_a_fading_voice_complete_the_turn() -> None:
    assert classify_end_of_turn(SURE, FADING) is EndOfTurn.COMPLETE


def test_a_text_that_breaks_off_is_incomplete() -> None:
    assert classify_end_of_turn(OPEN, LOUD) is EndOfTurn.INCOMPLETE
    assert classify_end_of_turn(OPEN, FADING) is EndOfTurn.INCOMPLETE


def test_an_empty_text_counts_as_no_speech() -> None:
    assert classify_text("") is EndOfTurn.NO_SPEECH


def test_without_scores_no_end_of_turn_is_certain() -> None:
    assert classify_text("Turn it on.") is EndOfTurn.UNSURE
    assert classify_text("Turn on the...") is EndOfTurn.INCOMPLETE


@pytest.mark.parametrize(
    "less",
    [
        (replace(SURE, full_stop=-2.0), FADING),
        (replace(SURE, dash=-2.0), FADING),
        (replace(SURE, ellipsis=-2.0), FADING),
        (replace(SURE, last_word=-2.0), FADING),  # a word cut in half
        (replace(SURE, text_end=1.0), FADING),  # no final lengthening
        (SURE, LOUD),
        (SURE, replace(FADING, harmonicity=0.2)),  # noise of the room rather than a voice
        (SURE, replace(FADING, final_loudness=-5.0)),
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
def test_each_feature_alone_lowers_the_end_of_turn_confidence(
    less: tuple[EndOfTextScores, Prosody],
) -> None:
    assert log_odds(*less) < log_odds(SURE, FADING) - 0.5


def test_the_least_log_odds_of_a_class_belong_to_it() -> None:
    odds = log_odds(SURE, FADING)
    assert (
        replace(ENGLISH.end_of_turn, complete=odds).classify(SURE, FADING) is EndOfTurn.COMPLETE
    )


def test_extreme_feature_values_are_clipped() -> None:
    assert log_odds(replace(SURE, text_end=-9.0), FADING) == log_odds(
        replace(SURE, text_end=0.5), FADING
    )
    assert log_odds(replace(SURE, last_word=-90.0), FADING) == log_odds(
        replace(SURE, last_word=-12.0), FADING
    )
    assert log_odds(replace(SURE, full_stop=-90.0), FADING) == log_odds(
        replace(SURE, full_stop=-12.0), FADING
    )


def test_in_noise_the_text_counts_and_hardly_the_voice() -> None:
    noisy = replace(LOUD, snr=15.0)
    assert classify_end_of_turn(SURE, noisy) is not EndOfTurn.INCOMPLETE
    assert classify_end_of_turn(OPEN, noisy) is EndOfTurn.INCOMPLETE
    quieter = replace(FADING, snr=15.0)
    assert log_odds(SURE, quieter) - log_odds(SURE, noisy) < 0.5 * (
        log_odds(SURE, FADING) - log_odds(SURE, LOUD)
    )


@pytest.mark.parametrize("snr", [-5.0, 10.0, 20.0])
def test_below_a_limit_all_noise_is_alike(snr: float) -> None:
    assert log_odds(SURE, replace(LOUD, snr=snr)) == log_odds(SURE, replace(LOUD, snr=20.0))


@pytest.mark.parametrize("snr", [45.0, 60.0])
def test_above_a_limit_all_quiet_rooms_are_alike(snr: float) -> None:
    assert log_odds(SURE, replace(LOUD, snr=snr)) == log_odds(SURE, replace(LOUD, snr=35.0))


def test_in_a_quiet_room_the_weights_for_noise_do_not_count() -> None:
    quiet = replace(ENGLISH.end_of_turn, noisy=ENGLISH.end_of_turn.quiet)
    assert quiet.log_odds(SURE, LOUD) == log_odds(SURE, LOUD)


def test_between_noise_and_a_quiet_room_the_weights_are_averaged() -> None:
    between, *ends = (log_odds(SURE, replace(LOUD, snr=snr)) for snr in (27.5, 20.0, 35.0))
    assert between == pytest.approx(sum(ends) / 2)
