"""Grammar step: which of the decoder's hypotheses is an order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import decode, spoken

GARBLED, ORDER = "Turn of the kitchen light.", "Turn off the kitchen light."


def said(**options: object) -> Job:
    job = spoken(2.0, (0.4, 1.6))
    return replace(job, options=replace(DecodeOptions(language="en", grammar=True), **options))  # type: ignore[arg-type]


def text_of(job: Job, *texts: str, scores: tuple[float, ...] = (-1.0, -1.5)) -> str:
    model = FakeAcousticModel(replace(heard(*texts), scores=scores))
    [found] = decode(model, job)
    return found.text


def test_a_nearly_as_probable_order_wins() -> None:
    assert text_of(said(), GARBLED, ORDER) == ORDER


def test_a_much_less_probable_order_does_not() -> None:
    assert text_of(said(), GARBLED, ORDER, scores=(-1.0, -2.5)) == GARBLED


def test_names_of_the_home_count_more() -> None:
    job = said(hotwords=("Kitchen",))
    assert text_of(job, GARBLED, ORDER, scores=(-1.0, -2.5)) == ORDER


@pytest.mark.parametrize(
    "job",
    [
        said(grammar=False),
        said(task="translate"),
        said(language="haw"),
        replace(said(), earlier_seconds=9.0),
        replace(said(), prefix="Turn"),
    ],
    ids=["off", "translation", "no grammar", "long recording", "sent before"],
)
def test_other_texts_stay(job: Job) -> None:
    assert text_of(job, GARBLED, ORDER) == GARBLED


def test_orders_of_other_languages_win_too() -> None:
    heard_wrong, order = (
        "Schalte das Lied in der Küche ein.",
        "Schalte das Licht in der Küche ein.",
    )
    assert text_of(said(language="de"), heard_wrong, order) == order
