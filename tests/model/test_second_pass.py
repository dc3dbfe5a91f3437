"""What was unclear is heard again: the real engine, and a model that hears what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import ctranslate2
import pytest

from wyoming_faster_whisper.audio import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.base import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.spectrogram import Features
from wyoming_faster_whisper.engine.whisper import PACE, WhisperEngine
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import silence

from .undecided import Undecided

pytestmark = pytest.mark.model

FIRST = ("Cut the lights.", "Put the lights.")
AGAIN = ("Turn the lights.", "Turn the lice.")


class Ears:
    """An engine that is unsure of what it heard first."""

    def __init__(
        self,
        folder: Path,
        *,
        likely: str,
        first: Sequence[str] = FIRST,
        again: Sequence[str] = AGAIN,
        score: float = -1.0,
    ) -> None:
        directory = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
        self.model = Undecided(directory, heard=first, likely=[likely], again=again, score=score)
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size="base")

    def hear(self, *sounds: Samples, lead: int = 0) -> list[Transcript]:
        options = DecodeOptions(language="en")
        return self._engine.decode([Job(samples, options, lead=lead) for samples in sounds])


@pytest.mark.parametrize("text", [*FIRST, *AGAIN])
def test_any_text_of_either_look_may_be_the_likeliest(tmp_path: Path, text: str) -> None:
    ears = Ears(tmp_path, likely=text)
    [heard] = ears.hear(silence(2.0))
    assert (heard.text, heard.passes, heard.verdict) == (text, 2, "again")
    # Each of the four texts, by each of the two looks.
    assert len(ears.model.asked) == 8


def test_what_was_clear_is_heard_once(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=AGAIN[0], score=-0.1)
    [heard] = ears.hear(silence(2.0))
    assert (heard.text, heard.passes) == (FIRST[0], 1)
    assert ears.model.asked == []


def test_the_second_look_is_at_slower_sound(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=AGAIN[0])
    ears.hear(clicked(2.0))
    first, second = ears.model.features
    assert clicks_at(second) == pytest.approx(clicks_at(first) / PACE, abs=2)


def test_silence_that_is_missing_in_front_is_heard_in_every_look(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=AGAIN[0])
    ears.hear(clicked(2.0), lead=6400)
    plain, slow = ears.model.features
    ears.hear(clicked(2.4))
    assert clicks_at(plain) == clicks_at(ears.model.features[2])
    assert clicks_at(slow) == pytest.approx(clicks_at(plain) / PACE, abs=2)


def test_what_goes_in_circles_is_said_once_in_either_look(tmp_path: Path) -> None:
    circles = " ".join(["Turn off the lights."] * 6)
    again = Ears(tmp_path, likely="Turn off the lights.", again=[circles])
    assert [heard.text for heard in again.hear(silence(2.0))] == ["Turn off the lights."]


def test_silence_in_front_is_no_time_to_say_a_sentence_twice_in(tmp_path: Path) -> None:
    twice = "Turn off the lights. Turn off the"
    ears = Ears(tmp_path, likely="", first=[twice], score=-0.1)
    assert [heard.text for heard in ears.hear(silence(1.9), lead=6400)] == [
        "Turn off the lights."
    ]


def test_no_sound_is_lost_to_the_slower_pace(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=AGAIN[0])
    ears.hear(clicked(27.9))
    _, second = ears.model.features
    assert clicks_at(second) > 2800


def test_of_two_that_went_together_each_is_heard_again_alone(tmp_path: Path) -> None:
    ears = Ears(tmp_path, likely=FIRST[1])
    assert [heard.text for heard in ears.hear(silence(2.0), silence(2.0))] == [FIRST[1], FIRST[1]]
    # Two together, then each of them, and each more slowly: no sound is judged by another's.
    assert sorted(set(ears.model.asked_of)) == [3, 4, 5, 6]


def clicked(seconds: float) -> Samples:
    """Silence with a click near its end."""
    samples = silence(seconds)
    samples[-SAMPLE_RATE // 10] = 1.0
    return samples


def clicks_at(features: Features) -> int:
    """The frame of the click."""
    return int(features.mean(axis=0).argmax())


def test_a_word_that_is_none_gives_way_unless_it_is_expected(tmp_path: Path) -> None:
    directory = locate(choose("tiny.en", [tmp_path]), tmp_path, local_files_only=True)

    def hear(*names: str) -> str:
        model = Undecided(directory, heard=("A moco.", "A mocha."), likely=["A moco."])
        engine = WhisperEngine(cast(ctranslate2.models.Whisper, model), directory, size="base")
        [heard] = engine.decode([Job(silence(2.0), DecodeOptions(language="en", names=names))])
        return heard.text

    assert hear() == "A mocha."
    assert hear("Moco") == "A Moco."
