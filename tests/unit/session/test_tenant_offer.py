"""What a tenant is offered of the server's models, languages, prompt and names."""

from __future__ import annotations

from typing import Any

import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, ServedModel
from wyoming_faster_whisper.models.languages import ENGLISH, MULTILINGUAL
from wyoming_faster_whisper.session.request import Offer, Request
from wyoming_faster_whisper.session.tenant_offer import models_for, offer_for
from wyoming_faster_whisper.tenant import HOUSE, Tenant

BASE = ServedModel("base", MULTILINGUAL, capabilities=EVERYTHING)
TINY_EN = ServedModel("tiny.en", ENGLISH, capabilities=EVERYTHING)
OFFER = Offer(
    (BASE, TINY_EN),
    DecodeOptions(prompt="At home.", language="en"),
    home_names=lambda: ("Kitchen lamp",),
)


def accepted(tenant: Tenant, **request: Any) -> DecodeOptions:
    return offer_for(OFFER, tenant).accept(Request(**request), "client")


def named(**rules: Any) -> Tenant:
    """Return a tenant as the file of tenants makes it."""
    return Tenant(name="guests", named=True, **{"prompt": "", "home_names": False, **rules})


def test_the_house_is_offered_everything() -> None:
    found = accepted(HOUSE)
    assert (found.model, found.language, found.prompt) == ("base", "en", "At home.")
    assert found.hotwords == ("Kitchen lamp",)


def test_another_tenant_sees_neither_the_prompt_nor_the_names_of_the_house() -> None:
    found = accepted(named(vocabulary=("Krabat",)), hotwords=("Pump",))
    assert (found.prompt, found.hotwords) == (None, ("Pump", "Krabat"))
    assert accepted(named(), prompt="Mine.").prompt == "Mine."


def test_only_its_models_exist_for_a_tenant(caplog: pytest.LogCaptureFixture) -> None:
    tenant = named(models=("tiny.en",))
    assert [model.name for model in models_for(OFFER.models, tenant)] == ["tiny.en"]
    assert accepted(tenant, model="base").model == "tiny.en"
    assert "this server has no model 'base'; using tiny.en" in caplog.text


@pytest.mark.parametrize(
    ("request_", "language", "candidates"),
    [
        ({}, None, ("de", "fr")),  # English, the server's default, is not among its languages
        ({"language": "fr-FR"}, "fr", ("de", "fr")),
        ({"language": "ja"}, None, ("de", "fr")),
        ({"language": "auto"}, None, ("de", "fr")),
        ({"candidate_languages": ("en", "fr")}, "fr", ("fr",)),
        ({"candidate_languages": ("en",)}, None, ("de", "fr")),
    ],
)
def test_a_tenant_is_decoded_in_its_languages_only(
    request_: dict[str, Any], language: str | None, candidates: tuple[str, ...]
) -> None:
    found = accepted(named(languages=("de", "fr")), **request_)
    assert (found.model, found.language) == ("base", language)
    assert found.candidate_languages == candidates


def test_a_model_without_any_of_its_languages_is_not_offered() -> None:
    assert [one.name for one in models_for(OFFER.models, named(languages=("de",)))] == ["base"]
    assert accepted(named(languages=("de",))).language == "de"


@pytest.mark.parametrize(
    ("tenant", "relayed"),
    [
        (HOUSE, True),
        (named(home_names=True), True),
        (named(), False),
        (named(home_names=True, vocabulary=("Krabat",)), False),
        (named(home_names=True, languages=("de",)), False),
    ],
)
def test_an_upstream_serves_only_tenants_without_rules_of_their_own(
    tenant: Tenant, relayed: bool
) -> None:
    assert tenant.relayable == relayed
