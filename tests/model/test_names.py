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


class Suggestible:
    """Hears one thing, and another where its prompt has names.

    Like CTranslate2's Whisper it hands back the words that it had to go on from.
    """

    n_mels = 80
    num_workers = 1
    is_multilingual = False

    def __init__(self, directory: Path, *, plain: str, named: str) -> None:
        tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.prompts: list[str] = []
        self.encodings = 0
        self._tokenizer = tokenizer
        self._named = tokenizer.token_to_id("<|startofprev|>")
        self._texts = {
            named_too: tokenizer.encode(" " + text, add_special_tokens=False).ids
            for named_too, text in ((False, plain), (True, named))
        }

    def encode(self, features: ctranslate2.StorageView) -> ctranslate2.StorageView:
        self.encodings += 1
        return ctranslate2.StorageView.from_array(np.zeros((1, 1), np.float32))

    def generate(
        self, encoding: ctranslate2.StorageView, prompts: Sequence[list[int]], **_: Any
    ) -> list[Any]:
        self.prompts += [
            self._tokenizer.decode(ids, skip_special_tokens=False) for ids in prompts
        ]
        return [
            SimpleNamespace(
                sequences_ids=[self._texts[self._named in ids]], scores=[-0.2], no_speech_prob=0.0
            )
            for ids in prompts
        ]


class Ears:
    """An engine around a model like that."""

    def __init__(self, folder: Path, *, plain: str = PLAIN, named: str = NAMED) -> None:
        directory = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
        self.model = Suggestible(directory, plain=plain, named=named)
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size="tiny.en")

    def hear(self, *jobs: Job) -> list[Transcript]:
        return self._engine.decode(jobs)


def job(options: DecodeOptions = HOME, *, said: str = "") -> Job:
    return Job(silence(2.0), options, said=said)


def test_a_text_like_a_name_is_heard_again_with_it(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    [heard] = ears.hear(job())
    assert heard.text == NAMED
    assert heard.passes == 2
    plain, named = ears.model.prompts
    assert "Ecobee" not in plain
    assert "Ecobee" in named
    assert ears.model.encodings == 1  # heard again, not encoded again


def test_two_together_are_heard_again_one_by_one(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    assert [heard.text for heard in ears.hear(job(), job())] == [NAMED, NAMED]
    assert ears.model.encodings == 3


def test_who_hears_no_name_the_second_time_keeps_the_first(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, named="Set the incubator to 20.").hear(job())
    assert heard.text == PLAIN


def test_a_text_like_no_name_is_heard_once(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, plain="What time is it?").hear(job())
    assert heard.text == "What time is it?"
    assert heard.passes == 1


def test_a_near_miss_is_put_right_also_where_no_name_fits_the_prompt(tmp_path: Path) -> None:
    narrow = DecodeOptions(language="en", names=HOME.names, hints=0)
    [heard] = Ears(tmp_path, plain="Set the ecobe to 20.").hear(job(narrow))
    assert heard.text == NAMED
    assert heard.passes == 1


def test_what_was_sent_stays_and_what_follows_is_put_right(tmp_path: Path) -> None:
    ears = Ears(tmp_path, plain="Set the ecobe, start the robo rock.", named="Set Ecobee.")
    [heard] = ears.hear(job(said="Set the ecobe"))
    assert heard.text == "Set the ecobe, start the Roborock."
    assert all(prompt.endswith(" Set the ecobe") for prompt in ears.model.prompts)
