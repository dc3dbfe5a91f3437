"""What the engine makes of names: the real one, with a model that hears what the test says."""

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

from .scripted_model import Undecided

pytestmark = pytest.mark.model

PLAIN, NAMED = "Set the incubi now.", "Set the Ecobee now."
HOME = DecodeOptions(language="en", hotwords=("Ecobee", "Roborock", "Larder"))


class Ears:
    """An engine around a model like that."""

    def __init__(
        self,
        folder: Path,
        *heard: str,
        likely: Sequence[str] = (NAMED,),
        again: Sequence[str] = (),
        takes_prompt: bool = True,
    ) -> None:
        directory = locate(choose("tiny.en", [folder]), folder, local_files_only=True)
        self.model = Undecided(directory, heard=heard or (PLAIN,), likely=likely, again=again)
        model = cast(ctranslate2.models.Whisper, self.model)
        self._engine = WhisperEngine(model, directory, size="tiny.en", takes_prompt=takes_prompt)

    def hear(self, *jobs: Job) -> list[Transcript]:
        return self._engine.decode(jobs)


def job(options: DecodeOptions = HOME, *, said: str = "") -> Job:
    return Job(silence(2.0), options, prefix=said)


def test_a_name_that_the_decoder_holds_for_likelier_is_meant(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    [heard] = ears.hear(job())
    assert heard.text == NAMED
    assert heard.passes == 2
    assert all("Ecobee" in prompt for prompt in ears.model.asked)
    assert len(ears.model.features) == 1  # asked about, not encoded again


def test_a_name_is_found_in_what_was_nearly_heard(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, "Set the thing now.", PLAIN).hear(job())
    assert heard.text == NAMED


def test_it_listens_for_names_with_no_words_but_theirs_and_those_of_orders(
    tmp_path: Path,
) -> None:
    right = "Start the Roborock now."
    ears = Ears(tmp_path, "Start the robber lock now.", again=[right], likely=[right])
    [heard] = ears.hear(job())
    assert heard.text == right
    first, second = ears.model.suppressed
    assert first == {-1}
    assert not second & {*ears.model.ids("Roborock"), *ears.model.ids(right)}
    assert second & {*ears.model.ids("elephant")}


def test_it_does_not_listen_again_to_what_is_too_long_for_an_order(tmp_path: Path) -> None:
    more = (
        " Then, if nobody minds, open every window in the house for a while, "
        "as it was so very warm in here last night."
    )
    ears = Ears(tmp_path, PLAIN + more, likely=[NAMED + more])
    [heard] = ears.hear(Job(silence(9.0), HOME))
    assert heard.text == NAMED + more
    assert len(ears.model.suppressed) == 1


def test_two_together_are_asked_about_one_by_one(tmp_path: Path) -> None:
    ears = Ears(tmp_path)
    assert [heard.text for heard in ears.hear(job(), job())] == [NAMED, NAMED]
    assert len(ears.model.features) == 4


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
    narrow = DecodeOptions(language="en", hotwords=HOME.hotwords, max_prompt_tokens=0)
    [heard] = Ears(tmp_path, "Set the ecobe now.").hear(job(narrow))
    assert heard.text == NAMED
    assert heard.passes == 1


def test_a_model_that_takes_no_prompt_is_not_asked(tmp_path: Path) -> None:
    [heard] = Ears(tmp_path, "Set the ecobe now.", takes_prompt=False).hear(job())
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
