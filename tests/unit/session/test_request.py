"""Requests of a client, and the settings they result in."""

from __future__ import annotations

import logging

import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.models.languages import ENGLISH, MULTILINGUAL
from wyoming_faster_whisper.session.request import MOST_NAMES, Offer, Request

BASE = ServedModel("base", MULTILINGUAL)
TINY_EN = ServedModel("tiny.en", ENGLISH)


def accepted(request: Request, *models: ServedModel, **options: object) -> DecodeOptions:
    return Offer(models or (BASE,), DecodeOptions(**options)).accept(request, "client")  # type: ignore[arg-type]


def test_an_empty_request_gets_the_defaults() -> None:
    assert accepted(Request()) == DecodeOptions(model="base")
    assert accepted(Request(), language="de").language == "de"


def test_a_language_tag_becomes_whispers_code() -> None:
    assert accepted(Request(language="en-US")).language == "en"
    assert accepted(Request(language="nb")).language == "no"


def test_auto_detects_the_language_whatever_the_default_is() -> None:
    assert accepted(Request(language="auto"), language="de").language is None


def test_an_english_only_model_always_decodes_english() -> None:
    assert accepted(Request(), TINY_EN).language == "en"
    assert accepted(Request(language="auto"), TINY_EN).language == "en"


def test_an_unsupported_language_gives_the_default_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert accepted(Request(language="xx\n"), language="de").language == "de"
    assert [record.getMessage() for record in caplog.records] == [
        "client: model base does not support language 'xx?'; using de"
    ]


def test_a_model_is_chosen_by_name() -> None:
    assert accepted(Request(model="tiny.en"), BASE, TINY_EN).model == "tiny.en"


def test_an_unknown_model_gives_the_default_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert accepted(Request(model="large"), BASE, TINY_EN).model == "base"
    assert "no model 'large'" in caplog.text


def test_a_language_selects_a_model_that_supports_it() -> None:
    assert accepted(Request(language="de"), TINY_EN, BASE).model == "base"
    assert accepted(Request(language="en"), TINY_EN, BASE).model == "tiny.en"


def test_candidate_languages_are_limited_to_those_of_the_model() -> None:
    assert accepted(Request(), candidate_languages=("en", "de")).candidate_languages == (
        "en",
        "de",
    )
    assert accepted(Request(), TINY_EN, candidate_languages=("en", "de")).candidate_languages == (
        "en",
    )


def test_names_of_the_request_go_first_and_their_number_is_limited() -> None:
    home = Offer([BASE], home_names=lambda: ("Nanit",))
    assert home.accept(Request(hotwords=("Ecobee",)), "client").hotwords == ("Ecobee", "Nanit")
    assert len(accepted(Request(hotwords=("x",) * 10_000)).hotwords) == MOST_NAMES


def test_a_client_is_warned_once(caplog: pytest.LogCaptureFixture) -> None:
    warned: set[str] = set()
    for name in ("large", "huge"):
        Offer([BASE]).accept(Request(model=name, language=name), "client", warned)
    assert len(caplog.records) == 2
