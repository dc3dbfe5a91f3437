"""Offer for one tenant: its models, languages, prompt and vocabulary. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..engine.recognizer import ServedModel
from ..tenant import Tenant
from .request import Offer


def models_for(models: Sequence[ServedModel], tenant: Tenant) -> tuple[ServedModel, ...]:
    """Return the models that a tenant may use, each with the languages that it may use.

    Args:
        models: all models, the default first.
        tenant: of a checked file, so that at least one model is left.
    """
    return tuple(
        replace(model, languages=spoken)
        for model in models
        if (not tenant.models or model.name in tenant.models)
        and (spoken := _languages(model, tenant))
    )


def offer_for(offer: Offer, tenant: Tenant) -> Offer:
    """Return what a tenant is offered."""
    models, options = models_for(offer.models, tenant), offer.options
    if tenant.prompt is not None:
        options = replace(options, prompt=tenant.prompt or None)
    if tenant.languages:
        allowed = tuple(code for code in options.candidate_languages if code in tenant.languages)
        options = replace(options, candidate_languages=allowed or tenant.languages)

    def names() -> tuple[str, ...]:
        home = offer.home_names() if tenant.home_names else ()
        return (*tenant.vocabulary, *home) if tenant.vocabulary else home

    return replace(offer, models=models, options=options, home_names=names)


def _languages(model: ServedModel, tenant: Tenant) -> tuple[str, ...]:
    if not tenant.languages:
        return model.languages
    return tuple(code for code in tenant.languages if code in model.languages)
