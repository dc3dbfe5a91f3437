"""Doubtful texts are decoded again: the real engine, and a model that hears what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import ctranslate2
import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.pipeline import SPEED, WhisperEngine
from wyoming_faster_whisper.engine.whisper.spectrogram import Features
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import silence

from .scripted_model import Undecided

pytestmark = pytest.mark.model

FIRST = ("Cut the lights.", "Put the lights.")
AGAIN = ("Turn the lights.", "Turn the lice.")
SURE = -0.1  # mean log-probability
LOOP = " ".join(["Turn off the lights."] * 6)
ENGLISH = DecodeOptions(language="en")


class Ears:
    """An engine that is unsure of what it heard first.

    Args:
        size: of the model; base gets a short window first, and tiny the full one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        likely: str = "",
        first: Sequence[str] = FIRST,
        again: Sequence[str] = AGAIN,
        size: str = "base",
        score: float = -1.0,
        **more: Any,
    ) -> None:
        directory = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
        self.model = Undecided(
            directory, heard=first, likely=[likely], again=again, score=score, **more
        )
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size=size)

    @property
    def frames(self) -> list[int]:
        """The window of each encoding."""
        return [features.shape[1] for features in self.model.features]

    def hear(self, *sounds: Samples, lead: int = 0) -> list[Transcript]:
        return self.decode(*(Job(samples, ENGLISH, leading_silence=lead) for samples in sounds))

    def decode(self, *jobs: Job) -> list[Transcript]:
        return self._engine.decode(jobs)


def spoken(seconds: float, *stretches: tuple[float, float], **more: Any) -> Job:
    """A job with speech in these stretches, in seconds."""
    voice = tuple(
        (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in stretches
    )
    return Job(silence(seconds), ENGLISH, speech=voice, **more)


@pytest.mark.parametrize("text", [*FIRST, *AGAIN])
def test_any_text_of_either_pass_may_be_the_likeliest(tmp_path: Path, text: str) -> None:
    ears = Ears(tmp_path, likely=text)
    [heard] = ears.hear(silence(2.0))
    assert (heard.text, heard.passes, heard.verdict) == (text, 2, "again")
    # Each of the four texts, by each of the two encodings.
    assert len(ears.model.asked) == 8


def test_what_was_clear_is_decoded_once(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=AGAIN[0], score=SURE)
    [heard] = ears.hear(silence(2.0))
    assert (heard.text, heard.passes) == (FIRST[0], 1)
    assert ears.model.asked == []
    assert ears.frames == [1000]


def test_a_quick_job_is_decoded_once(tmp_path: Path) -> None:
    ears = Ears(tmp_path, first=["Call 12334."], again=["Call 1234."])
    [heard] = ears.decode(spoken(2.0, (0.2, 1.8), quick=True))
    assert (heard.text, heard.passes, heard.verdict) == ("Call 12334.", 1, "again")
    assert len(ears.frames) == 1


# What the second pass hears.


def test_the_second_pass_over_an_unlikely_text_is_at_slower_sound(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    ears.hear(clicked(2.0))
    assert ears.frames == [1000, 1000]
    first, second = ears.model.features
    assert clicks_at(second) == pytest.approx(clicks_at(first) / SPEED, abs=2)


def test_where_the_first_had_it_the_second_is_at_slower_sound(tmp_path: Path) -> None:
    ears = Ears(tmp_path, size="tiny")
    ears.hear(clicked(2.0))
    assert ears.frames == [FULL_FRAMES, FULL_FRAMES]
    first, second = ears.model.features
    assert clicks_at(second) == pytest.approx(clicks_at(first) / SPEED, abs=2)


@pytest.mark.parametrize("size", ["base", "tiny"])
def test_silence_that_is_missing_in_front_is_heard_in_every_pass(
    tmp_path: Path, size: str
) -> None:
    ears = Ears(tmp_path, size=size)
    ears.hear(clicked(2.0), lead=6400)
    ears.hear(clicked(2.4))
    first, second, *long = map(clicks_at, ears.model.features)
    assert first == long[0]
    assert second == pytest.approx(first / SPEED, abs=2)


def test_no_sound_is_lost_to_the_slower_pace(tmp_path: Path) -> None:
    ears = Ears(tmp_path, size="tiny")
    ears.hear(clicked(27.9))
    _, second = ears.model.features
    assert clicks_at(second) > 2800


def test_of_two_that_went_together_each_is_decoded_again_alone(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=FIRST[1])
    assert [heard.text for heard in ears.hear(silence(2.0), silence(2.0))] == [FIRST[1], FIRST[1]]
    # Two together; then the full window and the first window of each, which judge its texts.
    assert sorted(set(ears.model.asked_of)) == [3, 4, 5, 6]


# What a short window is known to get wrong.


@pytest.mark.parametrize(
    ("first", "again"),
    [("Call 12334.", "Call 1234."), ("Yes.", "Guess."), ("No, no, no, go.", "No, no, go.")],
)
def test_it_is_decoded_once_more_over_the_full_window(
    tmp_path: Path, first: str, again: str
) -> None:
    ears = Ears(tmp_path, likely=first, first=[first], again=[again], score=SURE)
    [heard] = ears.hear(silence(2.0))
    assert (heard.text, heard.passes) == (again, 2)
    assert ears.frames == [1000, FULL_FRAMES]
    assert ears.model.asked == []


# Loops.


@pytest.mark.parametrize("voice", [(), ((0.2, 1.8),)], ids=["no voice", "voice"])
def test_a_whole_text_of_the_second_pass_replaces_a_loop(
    tmp_path: Path, voice: tuple[tuple[float, float], ...]
) -> None:
    ears = Ears(tmp_path, first=[LOOP], again=["Turn off the light."], score=SURE)
    [heard] = ears.decode(spoken(2.0, *voice))
    assert (heard.text, heard.passes) == ("Turn off the light.", 2)


@pytest.mark.parametrize("voice", [(), ((0.2, 1.8),)], ids=["no voice", "voice"])
def test_a_second_pass_that_loops_loses_against_a_first_that_does_not(
    tmp_path: Path, voice: tuple[tuple[float, float], ...]
) -> None:
    ears = Ears(tmp_path, first=["Turn off the light."], again=[LOOP])
    [heard] = ears.decode(spoken(2.0, *voice))
    assert (heard.text, heard.passes) == ("Turn off the light.", 2)


def test_what_both_passes_repeat_is_said_as_often_as_the_sound_holds_it(tmp_path: Path) -> None:
    twice = "Stop the music. Stop the music. Stop the"
    starts = {twice: [0.2, 0.4, 0.6, 1.4, 1.6, 1.8, 2.2, 2.2, 2.2]}
    ears = Ears(tmp_path, first=[twice], again=[twice], score=SURE, starts=starts)

    def text(*voice: tuple[float, float]) -> str:
        # It breaks off where its tokens were used up.
        [heard] = ears.decode(spoken(0.1, *voice, leading_silence=48_000))
        return heard.text

    assert text((-2.8, -2.0)) == "Stop the music."
    assert text((-2.8, -2.0), (-1.6, -0.8)) == "Stop the music. Stop the music."


# Speech that a text leaves out.

SHORT = "Turn off the lights."
SHORT_STARTS = {SHORT: [0.4, 0.8, 1.0, 1.2, 1.9]}
TWO = ((0.4, 1.9), (3.0, 4.5))  # sentences


def test_a_sentence_that_one_pass_loses_comes_from_the_other(tmp_path: Path) -> None:
    whole = "Turn off the lights. Close the blinds."
    starts = {**SHORT_STARTS, whole: [0.4, 0.8, 1.0, 1.2, 3.0, 3.5, 4.0, 4.5]}
    for first, again in ((SHORT, whole), (whole, SHORT)):
        ears = Ears(tmp_path, first=[first], again=[again], starts=starts)
        [heard] = ears.decode(spoken(5.0, *TWO))
        assert (heard.text, heard.passes, heard.provisional) == (whole, 2, True)


@pytest.mark.parametrize("lead", [0, 6400])
@pytest.mark.parametrize("score", [SURE, -0.5])
def test_a_sentence_that_both_passes_lose_is_decoded_alone(
    tmp_path: Path, score: float, lead: int
) -> None:
    ears = Ears(
        tmp_path,
        first=[SHORT],
        again=[SHORT],
        after=["Close all the blinds."],
        score=score,
        starts=SHORT_STARTS,
    )
    sound = silence(5.0)
    sound[round(3.7 * SAMPLE_RATE) - lead] = 1.0
    late = lead / SAMPLE_RATE
    job = spoken(5.0, *((start - late, end - late) for start, end in TWO), leading_silence=lead)
    [heard] = ears.decode(Job(sound, ENGLISH, speech=job.speech, leading_silence=lead))
    assert heard.text == f"{SHORT} Close all the blinds."
    assert heard.provisional
    # With 0.2 s around it: it begins at 3 s.
    assert clicks_at(ears.model.features[2]) == pytest.approx(90, abs=2)


def test_a_sentence_that_is_lost_before_another_is_put_before_it(tmp_path: Path) -> None:
    ears = Ears(
        tmp_path,
        first=[SHORT],
        again=[SHORT],
        after=["Close all the blinds."],
        score=-0.5,
        starts={SHORT: [0.2, 3.4, 3.8, 4.0, 4.5]},
    )
    [heard] = ears.decode(spoken(5.0, *TWO))
    assert heard.text == f"Close all the blinds. {SHORT}"


@pytest.mark.parametrize("text", ["", SHORT])
def test_what_no_text_is_found_for_adds_nothing(tmp_path: Path, text: str) -> None:
    ears = Ears(
        tmp_path,
        first=[SHORT],
        again=[SHORT],
        after=[text, "..."],
        score=SURE,
        starts=SHORT_STARTS,
    )
    [heard] = ears.decode(spoken(5.0, *TWO))
    assert heard.text == SHORT


def test_a_text_that_says_much_for_its_sound_is_not_compared_with_it(tmp_path: Path) -> None:
    ears = Ears(tmp_path, first=["Turn off all of the lights in the kitchen."], score=SURE)
    [heard] = ears.decode(spoken(3.0, (0.4, 2.4)))
    assert heard.passes == 1
    assert ears.model.aligned == []


# Nobody, or somebody after all.


def test_speech_of_three_seconds_is_decoded_again_before_it_is_nothing(tmp_path: Path) -> None:
    ears = Ears(tmp_path, first=[""], again=["Turn off the light."], score=SURE)
    [long] = ears.decode(spoken(4.0, (0.4, 3.6)))
    assert (long.text, long.passes) == ("Turn off the light.", 2)
    ears = Ears(tmp_path, first=[""], again=["Turn off the light."], score=SURE)
    [short] = ears.decode(spoken(4.0, (0.4, 3.2)))
    assert (short.text, short.passes, short.verdict) == ("", 1, "empty")


def test_it_is_nothing_where_both_passes_hear_nobody(tmp_path: Path) -> None:
    ears = Ears(
        tmp_path, first=["All right then, go."], again=["Oh, what is that?"], no_speech=0.9
    )
    [heard] = ears.decode(spoken(4.0, (0.4, 3.6)))
    assert (heard.text, heard.passes, heard.verdict) == ("", 2, "empty")


def test_a_word_that_is_none_gives_way_unless_it_is_expected(tmp_path: Path) -> None:
    directory = locate(choose("tiny.en", [tmp_path]), tmp_path, local_files_only=True)

    def hear(*names: str) -> str:
        heard = ("I have a moco.", "I have a mocha.")
        model = Undecided(directory, heard=heard, likely=heard)
        engine = WhisperEngine(cast(ctranslate2.models.Whisper, model), directory, size="base")
        [said] = engine.decode([Job(silence(2.0), DecodeOptions(language="en", hotwords=names))])
        return said.text

    assert hear() == "I have a mocha."
    assert hear("Moco") == "I have a Moco."


def clicked(seconds: float) -> Samples:
    """Silence with a click near its end."""
    samples = silence(seconds)
    samples[-SAMPLE_RATE // 10] = 1.0
    return samples


def clicks_at(features: Features) -> int:
    """The frame of the click."""
    return int(np.asarray(features).mean(axis=0).argmax())
