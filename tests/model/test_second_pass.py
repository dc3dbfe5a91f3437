"""Second passes of the real engine, with a scripted model."""

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

from .scripted_model import ScriptedModel

pytestmark = pytest.mark.model

FIRST = ("Cut the lights.", "Put the lights.")
AGAIN = ("Turn the lights.", "Turn the lice.")
SURE = -0.1  # mean log-probability
LOOP = " ".join(["Turn off the lights."] * 6)
ENGLISH = DecodeOptions(language="en")


class ScriptedEngine:
    """The real engine with a scripted model whose first text is unlikely by default.

    Args:
        size: model size; base starts with a short window, tiny with the full one.
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
        self.model = ScriptedModel(
            directory, heard=first, likely=[likely], again=again, score=score, **more
        )
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size=size)

    @property
    def frames(self) -> list[int]:
        """Length of the window of each encoding, in frames."""
        return [features.shape[1] for features in self.model.features]

    def decode_samples(self, *sounds: Samples, lead: int = 0) -> list[Transcript]:
        return self.decode(*(Job(samples, ENGLISH, leading_silence=lead) for samples in sounds))

    def decode(self, *jobs: Job) -> list[Transcript]:
        return self._engine.decode(jobs)


def spoken(seconds: float, *stretches: tuple[float, float], **more: Any) -> Job:
    """Return a job with speech in these stretches, in seconds."""
    voice = tuple(
        (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in stretches
    )
    return Job(silence(seconds), ENGLISH, speech=voice, **more)


@pytest.mark.parametrize("text", [*FIRST, *AGAIN])
def test_any_text_of_either_pass_may_be_the_likeliest(tmp_path: Path, text: str) -> None:
    scripted = ScriptedEngine(tmp_path, likely=text)
    [heard] = scripted.decode_samples(silence(2.0))
    assert (heard.text, heard.passes, heard.verdict) == (text, 2, "again")
    # Each of the four texts is scored with both encodings.
    assert len(scripted.model.scored_prompts) == 8


def test_a_likely_text_is_decoded_once(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path, likely=AGAIN[0], score=SURE)
    [heard] = scripted.decode_samples(silence(2.0))
    assert (heard.text, heard.passes) == (FIRST[0], 1)
    assert scripted.model.scored_prompts == []
    assert scripted.frames == [1000]


def test_a_quick_job_is_decoded_once(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path, first=["Call 12334."], again=["Call 1234."])
    [heard] = scripted.decode(spoken(2.0, (0.2, 1.8), quick=True))
    assert (heard.text, heard.passes, heard.verdict) == ("Call 12334.", 1, "again")
    assert len(scripted.frames) == 1


# Audio of the second pass.


def test_the_second_pass_over_an_unlikely_text_uses_slower_audio(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path)
    scripted.decode_samples(clicked(2.0))
    assert scripted.frames == [1000, 1000]
    first, second = scripted.model.features
    assert clicks_at(second) == pytest.approx(clicks_at(first) / SPEED, abs=2)


def test_a_second_pass_after_a_full_window_uses_slower_audio_too(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path, size="tiny")
    scripted.decode_samples(clicked(2.0))
    assert scripted.frames == [FULL_FRAMES, FULL_FRAMES]
    first, second = scripted.model.features
    assert clicks_at(second) == pytest.approx(clicks_at(first) / SPEED, abs=2)


@pytest.mark.parametrize("size", ["base", "tiny"])
def test_leading_silence_is_added_in_every_pass(tmp_path: Path, size: str) -> None:
    scripted = ScriptedEngine(tmp_path, size=size)
    scripted.decode_samples(clicked(2.0), lead=6400)
    scripted.decode_samples(clicked(2.4))
    first, second, *long = map(clicks_at, scripted.model.features)
    assert first == long[0]
    assert second == pytest.approx(first / SPEED, abs=2)


def test_slowing_the_audio_cuts_nothing_off(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path, size="tiny")
    scripted.decode_samples(clicked(27.9))
    _, second = scripted.model.features
    assert clicks_at(second) > 2800


def test_two_jobs_of_a_batch_are_decoded_again_separately(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path, likely=FIRST[1])
    assert [heard.text for heard in scripted.decode_samples(silence(2.0), silence(2.0))] == [
        FIRST[1],
        FIRST[1],
    ]
    # Encodings 1 and 2 are the batch; 3 to 6 are two per job, with which its texts are scored.
    assert sorted(set(scripted.model.scored_encodings)) == [3, 4, 5, 6]


# Texts that a short window often gets wrong.


@pytest.mark.parametrize(
    ("first", "again"),
    [("Call 12334.", "Call 1234."), ("Yes.", "Guess."), ("No, no, no, go.", "No, no, go.")],
)
def test_a_fragile_text_is_decoded_again_over_the_full_window(
    tmp_path: Path, first: str, again: str
) -> None:
    scripted = ScriptedEngine(tmp_path, likely=first, first=[first], again=[again], score=SURE)
    [heard] = scripted.decode_samples(silence(2.0))
    assert (heard.text, heard.passes) == (again, 2)
    assert scripted.frames == [1000, FULL_FRAMES]
    assert scripted.model.scored_prompts == []


# Loops.


@pytest.mark.parametrize("voice", [(), ((0.2, 1.8),)], ids=["no voice", "voice"])
def test_a_complete_text_of_the_second_pass_replaces_a_loop(
    tmp_path: Path, voice: tuple[tuple[float, float], ...]
) -> None:
    scripted = ScriptedEngine(tmp_path, first=[LOOP], again=["Turn off the light."], score=SURE)
    [heard] = scripted.decode(spoken(2.0, *voice))
    assert (heard.text, heard.passes) == ("Turn off the light.", 2)


@pytest.mark.parametrize("voice", [(), ((0.2, 1.8),)], ids=["no voice", "voice"])
def test_a_loop_in_the_second_pass_does_not_replace_the_first_text(
    tmp_path: Path, voice: tuple[tuple[float, float], ...]
) -> None:
    scripted = ScriptedEngine(tmp_path, first=["Turn off the light."], again=[LOOP])
    [heard] = scripted.decode(spoken(2.0, *voice))
    assert (heard.text, heard.passes) == ("Turn off the light.", 2)


def test_a_repetition_in_both_passes_is_kept_as_often_as_it_was_spoken(tmp_path: Path) -> None:
    twice = "Stop the music. Stop the music. Stop the"
    starts = {twice: [0.2, 0.4, 0.6, 1.4, 1.6, 1.8, 2.2, 2.2, 2.2]}
    scripted = ScriptedEngine(tmp_path, first=[twice], again=[twice], score=SURE, starts=starts)

    def text(*voice: tuple[float, float]) -> str:
        # The text is cut off at the token limit.
        [heard] = scripted.decode(spoken(0.1, *voice, leading_silence=48_000))
        return heard.text

    assert text((-2.8, -2.0)) == "Stop the music."
    assert text((-2.8, -2.0), (-1.6, -0.8)) == "Stop the music. Stop the music."


# Speech missing from a text.

SHORT = "Turn off the lights."
SHORT_STARTS = {SHORT: [0.4, 0.8, 1.0, 1.2, 1.9]}
TWO = ((0.4, 1.9), (3.0, 4.5))  # sentences


def test_a_sentence_missing_in_one_pass_is_taken_from_the_other(tmp_path: Path) -> None:
    whole = "Turn off the lights. Close the blinds."
    starts = {**SHORT_STARTS, whole: [0.4, 0.8, 1.0, 1.2, 3.0, 3.5, 4.0, 4.5]}
    for first, again in ((SHORT, whole), (whole, SHORT)):
        scripted = ScriptedEngine(tmp_path, first=[first], again=[again], starts=starts)
        [heard] = scripted.decode(spoken(5.0, *TWO))
        assert (heard.text, heard.passes, heard.provisional) == (whole, 2, True)


@pytest.mark.parametrize("lead", [0, 6400])
@pytest.mark.parametrize("score", [SURE, -0.5])
def test_a_sentence_missing_in_both_passes_is_decoded_separately(
    tmp_path: Path, score: float, lead: int
) -> None:
    scripted = ScriptedEngine(
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
    [heard] = scripted.decode(Job(sound, ENGLISH, speech=job.speech, leading_silence=lead))
    assert heard.text == f"{SHORT} Close all the blinds."
    assert heard.provisional
    # The sentence starts at 3 s and is decoded with 0.2 s around it.
    assert clicks_at(scripted.model.features[2]) == pytest.approx(90, abs=2)


def test_a_missing_first_sentence_is_inserted_at_the_start(tmp_path: Path) -> None:
    scripted = ScriptedEngine(
        tmp_path,
        first=[SHORT],
        again=[SHORT],
        after=["Close all the blinds."],
        score=-0.5,
        starts={SHORT: [0.2, 3.4, 3.8, 4.0, 4.5]},
    )
    [heard] = scripted.decode(spoken(5.0, *TWO))
    assert heard.text == f"Close all the blinds. {SHORT}"


@pytest.mark.parametrize("text", ["", SHORT])
def test_a_gap_that_decodes_to_nothing_adds_no_text(tmp_path: Path, text: str) -> None:
    scripted = ScriptedEngine(
        tmp_path,
        first=[SHORT],
        again=[SHORT],
        after=[text, "..."],
        score=SURE,
        starts=SHORT_STARTS,
    )
    [heard] = scripted.decode(spoken(5.0, *TWO))
    assert heard.text == SHORT


def test_a_text_with_enough_tokens_for_its_speech_is_not_aligned(tmp_path: Path) -> None:
    scripted = ScriptedEngine(
        tmp_path, first=["Turn off all of the lights in the kitchen."], score=SURE
    )
    [heard] = scripted.decode(spoken(3.0, (0.4, 2.4)))
    assert heard.passes == 1
    assert scripted.model.aligned == []


# Empty texts.


def test_an_empty_text_for_three_seconds_of_speech_is_decoded_again(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path, first=[""], again=["Turn off the light."], score=SURE)
    [long] = scripted.decode(spoken(4.0, (0.4, 3.6)))
    assert (long.text, long.passes) == ("Turn off the light.", 2)
    scripted = ScriptedEngine(tmp_path, first=[""], again=["Turn off the light."], score=SURE)
    [short] = scripted.decode(spoken(4.0, (0.4, 3.2)))
    assert (short.text, short.passes, short.verdict) == ("", 1, "empty")


def test_the_text_is_empty_if_neither_pass_finds_speech(tmp_path: Path) -> None:
    scripted = ScriptedEngine(
        tmp_path, first=["All right then, go."], again=["Oh, what is that?"], no_speech=0.9
    )
    [heard] = scripted.decode(spoken(4.0, (0.4, 3.6)))
    assert (heard.text, heard.passes, heard.verdict) == ("", 2, "empty")


def test_an_oov_word_is_replaced_unless_it_is_a_hotword(tmp_path: Path) -> None:
    directory = locate(choose("tiny.en", [tmp_path]), tmp_path, local_files_only=True)

    def hear(*names: str) -> str:
        heard = ("I have a moco.", "I have a mocha.")
        model = ScriptedModel(directory, heard=heard, likely=heard)
        engine = WhisperEngine(cast(ctranslate2.models.Whisper, model), directory, size="base")
        [said] = engine.decode([Job(silence(2.0), DecodeOptions(language="en", hotwords=names))])
        return said.text

    assert hear() == "I have a mocha."
    assert hear("Moco") == "I have a Moco."


def clicked(seconds: float) -> Samples:
    """Return silence with a click near its end."""
    samples = silence(seconds)
    samples[-SAMPLE_RATE // 10] = 1.0
    return samples


def clicks_at(features: Features) -> int:
    """Return the frame of the click."""
    return int(np.asarray(features).mean(axis=0).argmax())
