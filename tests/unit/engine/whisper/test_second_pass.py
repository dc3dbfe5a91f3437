"""Second pass: over what it decodes, and which pass is believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.clip import Pass
from wyoming_faster_whisper.engine.whisper.coverage import Gap
from wyoming_faster_whisper.engine.whisper.encoder import SPEED
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded
from wyoming_faster_whisper.engine.whisper.second_pass import (
    Choice,
    choose,
    needs_full_window,
    second_pass,
)
from wyoming_faster_whisper.engine.whisper.spectrogram import HOP, Features
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import clicked, clip_of, decode, encoder_of, spoken

FIRST = ("Cut the lights.", "Put the lights.")
AGAIN = ("Turn the lights.", "Turn the lice.")
LOOP = " ".join(["Turn off the lights."] * 6)
GAP = (Gap(4, 3.0, 4.0),)
UNLIKELY = -1.0


def click_at(features: Features) -> int:
    """Return the frame of the click."""
    return int(np.asarray(features).argmax())


@pytest.mark.parametrize("text", [*FIRST, *AGAIN])
def test_any_hypothesis_of_either_pass_may_be_the_most_probable(text: str) -> None:
    model = FakeAcousticModel(heard(*FIRST, avg_logprob=UNLIKELY), heard(*AGAIN), likely=[text])
    [found] = decode(model, spoken(2.0, (0.4, 1.6)))
    assert (found.text, found.passes, found.verdict) == (text, 2, "again")
    # Each pass has scored its own hypotheses, so each encoding scores those of the other pass.
    assert [one.texts for one in model.scored] == [AGAIN, FIRST]
    # The first encoding is not made again.
    assert [one.encoded for one in model.scored] == [(each,) for each in model.encoded]


def test_a_hypothesis_of_both_passes_is_not_scored_again() -> None:
    model = FakeAcousticModel(
        heard(*FIRST, avg_logprob=UNLIKELY), heard(FIRST[0], avg_logprob=UNLIKELY)
    )
    decode(model, spoken(2.0, (0.4, 1.6)))
    assert [one.texts for one in model.scored] == [FIRST[1:]]


def test_hypotheses_are_scored_if_the_pass_has_not_scored_whole_texts() -> None:
    prefix = "Turn"
    passes = (heard("Turn it left.", avg_logprob=UNLIKELY), heard("Turn it off."))
    model = FakeAcousticModel(*passes, likely=["Turn it left."])
    decode(model, spoken(2.0, (0.4, 1.6), prefix=prefix))
    assert [one.texts for one in model.scored] == [("Turn it left.", "Turn it off.")] * 2


def test_samples_of_a_temperature_are_scored() -> None:
    options = DecodeOptions(language="en", temperature=0.5)
    model = FakeAcousticModel(heard(FIRST[0], avg_logprob=UNLIKELY), heard(AGAIN[0]))
    decode(model, spoken(2.0, (0.4, 1.6), options=options))
    assert [one.texts for one in model.scored] == [(FIRST[0], AGAIN[0])] * 2


# What the second pass decodes.


@pytest.mark.parametrize(("size", "frames"), [("base", 1000), ("tiny", FULL_FRAMES)])
def test_an_unlikely_text_is_decoded_again_from_slower_sound(size: str, frames: int) -> None:
    model = FakeAcousticModel(heard(*FIRST, avg_logprob=UNLIKELY), heard(*AGAIN))
    decode(model, spoken(2.0, (0.4, 1.6), samples=clicked(2.0)), size=size)
    first, second = model.encoded
    assert (first.frames, second.frames) == (frames, frames)
    [before], [after] = first.features, second.features
    assert click_at(after) == pytest.approx(click_at(before) / SPEED, abs=2)


def test_slower_sound_still_fits_into_the_window() -> None:
    model = FakeAcousticModel(heard(*FIRST, avg_logprob=UNLIKELY), heard(*AGAIN))
    decode(model, spoken(27.9, samples=clicked(27.9)), size="tiny")
    [slow] = model.encoded[1].features
    assert 2800 < click_at(slow) < FULL_FRAMES


@pytest.mark.parametrize("size", ["base", "tiny"])
def test_leading_silence_is_part_of_every_pass(size: str) -> None:
    lead = 6400
    model = FakeAcousticModel(heard(*FIRST, avg_logprob=UNLIKELY), heard(*AGAIN))
    decode(model, spoken(2.0, samples=clicked(2.0), leading_silence=lead), size=size)
    before, after = (click_at(one.features[0]) for one in model.encoded)
    assert before == pytest.approx((lead + 1.9 * SAMPLE_RATE) / HOP, abs=1)
    assert after == pytest.approx(before / SPEED, abs=2)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("Call 12334.", "Call 1234."),
        ("Yes.", "Guess."),
        ("No, no, no, go.", "No, no, go."),
        (LOOP, "Turn off the light."),
    ],
    ids=["code", "one word", "repeat", "loop"],
)
def test_what_a_short_window_gets_wrong_is_decoded_again_in_the_full_one(
    first: str, again: str
) -> None:
    model = FakeAcousticModel(heard(first), heard(again), likely=[first])
    [found] = decode(model, spoken(2.0))
    assert (found.text, found.passes) == (again, 2)
    assert [one.frames for one in model.encoded] == [1000, FULL_FRAMES]
    assert model.scored == []


def test_after_a_full_window_even_a_code_is_decoded_from_slower_sound() -> None:
    model = FakeAcousticModel(heard("Call 12334."), heard("Call 1234."), likely=["Call 1234."])
    [found] = decode(model, spoken(2.0, samples=clicked(2.0)), size="tiny")
    assert found.text == "Call 1234."
    [before], [after] = (one.features for one in model.encoded)
    assert click_at(after) == pytest.approx(click_at(before) / SPEED, abs=2)


@pytest.mark.parametrize(
    ("found", "full"),
    [
        (Pass(heard("Turn off the lights.", avg_logprob=UNLIKELY)), False),
        (Pass(heard("Turn off the lights."), looped=True), True),
        (Pass(heard("Turn off the lights."), GAP), True),
        (Pass(heard("...")), True),
        (Pass(heard("Stop.")), True),
        (Pass(heard("Call 12334.")), True),
    ],
    ids=["unlikely", "loop", "gap", "no words", "one word", "code"],
)
def test_a_text_needs_the_full_window_for_what_it_says(found: Pass, full: bool) -> None:
    assert needs_full_window(found) == full


# Which pass is believed.

CLEAR = heard("Turn off the lights.", avg_logprob=UNLIKELY)
NOISE = heard("Thank you.", avg_logprob=-2.0, no_speech_prob=0.9)
EMPTY = heard("")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "choice"),
    [
        (Pass(CLEAR), Pass(EMPTY), Choice.FIRST),
        (Pass(EMPTY), Pass(CLEAR), Choice.SECOND),
        (Pass(EMPTY), Pass(EMPTY), Choice.FIRST),
        (Pass(CLEAR), Pass(CLEAR, looped=True), Choice.FIRST),
        (Pass(CLEAR, looped=True), Pass(CLEAR), Choice.SECOND),
        (Pass(CLEAR, looped=True), Pass(CLEAR, looped=True), Choice.SECOND),
        (Pass(CLEAR, GAP), Pass(CLEAR), Choice.SECOND),
    ],
)
def test_a_pass_with_a_whole_text_wins(
    first: Pass, second: Pass, choice: Choice, full: bool
) -> None:
    assert choose(first, second, full=full) is choice


def test_only_texts_of_slower_sound_are_rescored() -> None:
    assert choose(Pass(CLEAR), Pass(CLEAR), full=False) is Choice.RESCORE
    assert choose(Pass(CLEAR), Pass(CLEAR), full=True) is Choice.SECOND


def test_a_repetition_is_not_rescored_because_the_shorter_text_would_win() -> None:
    repeat = Pass(heard("I'd like, I'd like a coffee.", avg_logprob=UNLIKELY))
    once = Pass(heard("I'd like a coffee.", avg_logprob=UNLIKELY))
    assert choose(repeat, once, full=False) is Choice.FIRST
    assert choose(repeat, once, full=True) is Choice.SECOND


def test_the_first_text_keeps_its_repetitions_after_a_full_window() -> None:
    model = FakeAcousticModel(heard("No, no, no."), heard("No, no."), likely=["No, no."])
    [found] = decode(model, spoken(2.0, (0.4, 1.6)), size="tiny")
    assert found.text == "No, no, no."


def test_words_that_were_made_up_lose() -> None:
    assert choose(Pass(CLEAR), Pass(NOISE), full=True, spoken=False) is Choice.FIRST


def test_a_gap_in_the_full_window_loses_against_a_first_text_without_one() -> None:
    assert choose(Pass(CLEAR), Pass(CLEAR, GAP), full=True) is Choice.FIRST


def test_of_two_passes_with_gaps_the_one_that_leaves_out_less_wins() -> None:
    less, more = (Gap(0, 0.0, 1.0),), (Gap(0, 0.0, 1.0), Gap(4, 2.0, 2.5))
    assert choose(Pass(CLEAR, less), Pass(CLEAR, more), full=True) is Choice.FIRST
    assert choose(Pass(CLEAR, more), Pass(CLEAR, less), full=True) is Choice.SECOND
    assert choose(Pass(CLEAR, less), Pass(CLEAR, less), full=True) is Choice.SECOND
    assert choose(Pass(CLEAR, less, looped=True), Pass(CLEAR, more), full=True) is Choice.SECOND


def test_of_two_texts_that_leave_out_the_same_the_likelier_wins_after_a_full_window() -> None:
    """Alignments of the same speech differ by some hundredths of a second."""
    gap, same = (Gap(0, 0.0, 0.90),), (Gap(0, 0.0, 0.86),)
    likely, unlikely = heard("Turn off the lights."), CLEAR
    for one, other in ((gap, same), (same, gap)):
        first_likely = choose(Pass(likely, one), Pass(unlikely, other), full=False)
        assert first_likely is Choice.FIRST
        second_likely = choose(Pass(unlikely, one), Pass(likely, other), full=False)
        assert second_likely is Choice.SECOND


def test_a_pass_without_speech_leaves_the_first_as_it_was() -> None:
    model = FakeAcousticModel(NOISE)
    clip, first = clip_of(model, spoken(2.0, (0.4, 1.6))), Pass(CLEAR)
    believed, second = second_pass(model, encoder_of(model), clip, first)
    assert believed is first
    assert second.text == NOISE.text


def test_a_rescored_pass_keeps_the_figures_of_the_first() -> None:
    model = FakeAcousticModel(heard("Turn off the light."), likely=["Turn off the light."])
    clip = clip_of(model, spoken(2.0, (0.4, 1.6)))
    found, _ = second_pass(model, encoder_of(model), clip, Pass(CLEAR))
    expected: Decoded = replace(
        CLEAR, text="Turn off the light.", alternatives=(CLEAR.text,), scores=(-0.75, -12.5)
    )
    assert found == Pass(expected)


@pytest.mark.parametrize("speech", [(), ((0.2, 1.8),)], ids=["no speech", "speech"])
def test_a_loop_in_the_second_pass_loses_against_a_text_without_one(
    speech: tuple[tuple[float, float], ...],
) -> None:
    model = FakeAcousticModel(heard("Turn off the light.", avg_logprob=UNLIKELY), heard(LOOP))
    [found] = decode(model, spoken(2.0, *speech))
    assert (found.text, found.passes) == ("Turn off the light.", 2)
