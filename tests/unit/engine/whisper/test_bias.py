"""Biasing step: which texts the decoder is asked about, and which one is chosen."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.bias import bias
from wyoming_faster_whisper.testing import silence
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import clip_of, decode, encoder_of

PLAIN, NAMED = "Set the incubi now.", "Set the Ecobee now."
HOME = DecodeOptions(language="en", hotwords=("Ecobee", "Roborock", "Larder"))


def job(options: DecodeOptions = HOME, *, seconds: float = 2.0, prefix: str = "") -> Job:
    return Job(silence(seconds), options, prefix=prefix)


def test_a_name_that_the_decoder_finds_more_probable_is_chosen() -> None:
    model = FakeAcousticModel(heard(PLAIN), likely=[NAMED])
    [found] = decode(model, job())
    assert (found.text, found.passes) == (NAMED, 2)
    [scored] = model.scored
    assert scored.texts[0] == PLAIN
    assert "Ecobee" in scored.prompt
    assert len(model.encoded) == 1  # the encoding of the first pass is used again


def test_the_text_stays_if_the_decoder_finds_no_name_more_probable() -> None:
    model = FakeAcousticModel(heard(PLAIN), likely=[PLAIN])
    [found] = decode(model, job())
    assert (found.text, found.passes) == (PLAIN, 2)


def test_a_name_may_come_from_another_hypothesis() -> None:
    model = FakeAcousticModel(heard("Set the thing now.", "Set the ecobe now."), likely=[NAMED])
    [found] = decode(model, job())
    assert found.text == NAMED


def test_a_text_that_resembles_no_name_is_not_biased() -> None:
    model = FakeAcousticModel(heard("What time is it?"))
    [found] = decode(model, job())
    assert (found.text, found.passes) == ("What time is it?", 1)
    assert len(model.generated) == 1
    assert model.scored == []


def test_without_names_nothing_is_biased() -> None:
    model = FakeAcousticModel(heard(PLAIN))
    [found] = decode(model, job(DecodeOptions(language="en")))
    assert (found.text, found.passes) == (PLAIN, 1)


def test_an_empty_text_is_not_biased() -> None:
    model = FakeAcousticModel(heard(PLAIN))
    clip = clip_of(model, job())
    assert bias(model, encoder_of(model), clip, "", heard(PLAIN)) == ("", 0)
    assert model.encoded == []


def test_the_biased_decode_may_only_write_names_and_words_of_orders() -> None:
    right = "Start the Roborock again."
    model = FakeAcousticModel(heard("Start the robber lock again."), heard(right), likely=[right])
    [found] = decode(model, job())
    assert found.text == right
    first, biased = model.generated
    assert first.allowed == frozenset()
    assert {"Roborock", "again"} <= biased.allowed
    assert not biased.allowed & {"robber", "elephant"}
    assert "Roborock" in biased.prompts[0]
    assert "Roborock" not in first.prompts[0]


def test_dictation_is_scored_but_not_decoded_with_names() -> None:
    more = (
        " Then, if nobody minds, open every window in the house for a while, "
        "as it was so very warm in here last night."
    )
    model = FakeAcousticModel(heard(PLAIN + more), likely=[NAMED + more])
    [found] = decode(model, job(seconds=9.0))
    assert found.text == NAMED + more
    assert len(model.generated) == 1


def test_jobs_of_a_batch_are_biased_one_by_one() -> None:
    model = FakeAcousticModel(heard(PLAIN), likely=[NAMED])
    assert [found.text for found in decode(model, job(), job())] == [NAMED, NAMED]
    assert [len(one.features) for one in model.encoded] == [2]  # only the batch
    assert [len(one.encoded.features) for one in model.generated] == [2, 1, 1]


@pytest.mark.parametrize(
    ("options", "takes_prompt"),
    [
        (DecodeOptions(language="en", hotwords=HOME.hotwords, max_prompt_tokens=0), True),
        (HOME, False),
    ],
    ids=["no name fits", "the model takes no prompt"],
)
def test_without_names_in_the_prompt_near_misses_are_only_corrected(
    options: DecodeOptions, takes_prompt: bool
) -> None:
    model = FakeAcousticModel(heard("Set the ecobe now."), takes_prompt=takes_prompt)
    [found] = decode(model, job(options))
    assert (found.text, found.passes) == (NAMED, 1)


def test_a_prefix_stays_and_the_rest_is_biased() -> None:
    right = "Set the incubi, start the Roborock."
    model = FakeAcousticModel(heard("Set the incubi, start the robber lock."), likely=[right])
    [found] = decode(model, job(prefix="Set the incubi"))
    assert found.text == right
    assert all(one.prompts[0].endswith("Set the incubi") for one in model.generated)
