"""Names in the real engine, with a scripted model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import ctranslate2
import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperEngine
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import silence

from .scripted_model import ScriptedModel

pytestmark = pytest.mark.model

PLAIN, NAMED = "Set the incubi now.", "Set the Ecobee now."
HOME = DecodeOptions(language="en", hotwords=("Ecobee", "Roborock", "Larder"))


class ScriptedEngine:
    """The real engine with a scripted model."""

    def __init__(
        self,
        folder: Path,
        *heard: str,
        likely: Sequence[str] = (NAMED,),
        again: Sequence[str] = (),
        takes_prompt: bool = True,
    ) -> None:
        directory = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
        self.model = ScriptedModel(directory, heard=heard or (PLAIN,), likely=likely, again=again)
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size="tiny.en", takes_prompt=takes_prompt)

    def decode(self, *jobs: Job) -> list[Transcript]:
        return self._engine.decode(jobs)


def job(options: DecodeOptions = HOME, *, said: str = "") -> Job:
    return Job(silence(2.0), options, prefix=said)


def test_a_name_that_the_decoder_scores_higher_is_chosen(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path)
    [heard] = scripted.decode(job())
    assert heard.text == NAMED
    assert heard.passes == 2
    assert all("Ecobee" in prompt for prompt in scripted.model.scored_prompts)
    assert len(scripted.model.features) == 1  # scored over the same encoding


def test_a_name_is_found_in_an_alternative_hypothesis(tmp_path: Path) -> None:
    [heard] = ScriptedEngine(tmp_path, "Set the thing now.", PLAIN).decode(job())
    assert heard.text == NAMED


def test_the_constrained_decode_allows_only_words_of_names_and_commands(
    tmp_path: Path,
) -> None:
    right = "Start the Roborock now."
    scripted = ScriptedEngine(
        tmp_path, "Start the robber lock now.", again=[right], likely=[right]
    )
    [heard] = scripted.decode(job())
    assert heard.text == right
    first, second = scripted.model.suppressed
    assert first == {-1}
    assert not second & {*scripted.model.ids("Roborock"), *scripted.model.ids(right)}
    assert second & {*scripted.model.ids("elephant")}


def test_a_text_too_long_for_a_command_gets_no_constrained_decode(tmp_path: Path) -> None:
    more = (
        " Then, if nobody minds, open every window in the house for a while, "
        "as it was so very warm in here last night."
    )
    scripted = ScriptedEngine(tmp_path, PLAIN + more, likely=[NAMED + more])
    [heard] = scripted.decode(Job(silence(9.0), HOME))
    assert heard.text == NAMED + more
    assert len(scripted.model.suppressed) == 1


def test_names_of_two_jobs_in_a_batch_are_scored_separately(tmp_path: Path) -> None:
    scripted = ScriptedEngine(tmp_path)
    assert [heard.text for heard in scripted.decode(job(), job())] == [NAMED, NAMED]
    assert len(scripted.model.features) == 4


def test_the_text_is_kept_if_the_decoder_scores_no_name_higher(
    tmp_path: Path,
) -> None:
    [heard] = ScriptedEngine(tmp_path, likely=[PLAIN]).decode(job())
    assert heard.text == PLAIN
    assert heard.passes == 2


def test_a_text_that_resembles_no_name_is_not_scored_again(tmp_path: Path) -> None:
    [heard] = ScriptedEngine(tmp_path, "What time is it?").decode(job())
    assert heard.text == "What time is it?"
    assert heard.passes == 1


def test_a_misspelt_name_is_corrected_even_without_room_in_the_prompt(tmp_path: Path) -> None:
    narrow = DecodeOptions(language="en", hotwords=HOME.hotwords, max_prompt_tokens=0)
    [heard] = ScriptedEngine(tmp_path, "Set the ecobe now.").decode(job(narrow))
    assert heard.text == NAMED
    assert heard.passes == 1


def test_a_model_without_prompts_only_corrects_names(tmp_path: Path) -> None:
    [heard] = ScriptedEngine(tmp_path, "Set the ecobe now.", takes_prompt=False).decode(job())
    assert heard.text == NAMED
    assert heard.passes == 1


def test_text_already_sent_is_kept_and_the_rest_is_corrected(tmp_path: Path) -> None:
    right = "Set the incubi, start the Roborock."
    scripted = ScriptedEngine(tmp_path, "Set the incubi, start the robber lock.", likely=[right])
    [heard] = scripted.decode(job(said="Set the incubi"))
    assert heard.text == right


def test_a_text_longer_than_the_decoders_context_is_not_scored(tmp_path: Path) -> None:
    long = f"{PLAIN} " + "and the very next one " * 90
    [heard] = ScriptedEngine(tmp_path, long.strip()).decode(job())
    assert NAMED not in heard.text
