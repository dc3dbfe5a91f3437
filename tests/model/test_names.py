"""What the engine makes of names: the real one, with a model that hears what the test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import ctranslate2
import numpy as np
import pytest
from tokenizers import Tokenizer

from wyoming_faster_whisper.engine.base import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper import WhisperEngine
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import silence

pytestmark = pytest.mark.model

PLAIN, NAMED = "Set the incubi to 20.", "Set the Ecobee to 20."
HOME = DecodeOptions(language="en", names=("Ecobee", "Roborock", "Larder"))


class Undecided:
    """Hears one thing, and says how likely it holds others.

    Args:
        heard: the likeliest first.
        likely: texts whose every token it holds for likely; the others are hardly so.
    """

    n_mels = 80
    num_workers = 1
    is_multilingual = False

    def __init__(self, directory: Path, *, heard: Sequence[str], likely: Sequence[str]) -> None:
        self.asked: list[str] = []  # the prompts it had when it was asked how likely texts are
        self.encodings = 0
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._heard = [self._ids(text) for text in heard]
        self._likely = [self._ids(text) for text in likely]

    def encode(self, features: ctranslate2.StorageView) -> ctranslate2.StorageView:
        self.encodings += 1
        return ctranslate2.StorageView.from_array(np.zeros((1, 4, 1), np.float32))

    def generate(
        self, encoding: ctranslate2.StorageView, prompts: Sequence[list[int]], **_: Any
    ) -> list[Any]:
        return [
            SimpleNamespace(
                sequences_ids=self._heard, scores=[-0.2] * len(self._heard), no_speech_prob=0.0
            )
            for _ in prompts
        ]

    def align(
        self,
        encoding: ctranslate2.StorageView,
        prompt: list[int],
        texts: Sequence[list[int]],
        frames: int,
    ) -> list[Any]:
        self.asked.append(self._tokenizer.decode(prompt, skip_special_tokens=False))
        return [
            SimpleNamespace(text_token_probs=[0.9 if ids in self._likely else 0.1] * len(ids))
            for ids in texts
        ]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(" " + text, add_special_tokens=False).ids
        return ids


class Ears:
    """An engine around a model like that."""

    def __init__(
        self,
        folder: Path,
        *heard: str,
        likely: Sequence[str] = (NAMED,),
        takes_prompt: bool = True,
    ) -> None:
        directory = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
        self.model = Undecided(directory, heard=heard or (PLAIN,), likely=likely)
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size="tiny.en", takes_prompt=takes_prompt)

    def hear(self, *jobs: Job) -> list[Transcript]:
        return self._engine.decode(jobs)


def job(options: DecodeOptions = HOME, *, said: str = "") -> Job:
    return Job(silence(2.0), options, said=said)


def test_a_name_that_the_decoder_holds_for_likelier_is_meant(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    [heard] = ears.hear(job())
    assert heard.text == NAMED
    assert heard.passes == 2
    assert all("Ecobee" in prompt for prompt in ears.model.asked)
    assert ears.model.encodings == 1  # asked about, not encoded again


def test_a_name_is_found_in_what_was_nearly_heard(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, "Set the thing to 20.", PLAIN).hear(job())
    assert heard.text == NAMED


def test_two_together_are_asked_about_one_by_one(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    assert [heard.text for heard in ears.hear(job(), job())] == [NAMED, NAMED]
    assert ears.model.encodings == 3


def test_what_was_heard_stays_where_the_decoder_holds_no_name_for_likely(
    tmp_path: Path,
) -> None:
    [heard] = Ears(tmp_path, likely=[PLAIN]).hear(job())
    assert heard.text == PLAIN
    assert heard.passes == 2


def test_a_text_like_no_name_is_not_asked_about(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, "What time is it?").hear(job())
    assert heard.text == "What time is it?"
    assert heard.passes == 1


def test_a_near_miss_is_put_right_also_where_no_name_fits_the_prompt(tmp_path: Path) -> None:
    narrow = DecodeOptions(language="en", names=HOME.names, hints=0)
    [heard] = Ears(tmp_path, "Set the ecobe to 20.").hear(job(narrow))
    assert heard.text == NAMED
    assert heard.passes == 1


def test_a_model_that_takes_no_prompt_is_not_asked(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, "Set the ecobe to 20.", takes_prompt=False).hear(job())
    assert heard.text == NAMED
    assert heard.passes == 1


def test_what_was_sent_stays_and_what_follows_is_put_right(tmp_path: Path) -> None:
    right = "Set the incubi, start the Roborock."
    ears = Ears(tmp_path, "Set the incubi, start the robber lock.", likely=[right])
    [heard] = ears.hear(job(said="Set the incubi"))
    assert heard.text == right


def test_the_decoder_is_not_asked_about_more_than_it_has_places_for(tmp_path: Path) -> None:
    long = f"{PLAIN} " + "and the very next one " * 90
    [heard] = Ears(tmp_path, long.strip()).hear(job())
    assert NAMED not in heard.text
