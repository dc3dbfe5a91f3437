"""Models that the API offers, and the names by which requests may ask for them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...engine.recognizer import ServedModel
from ...errors import printable
from ...models.languages import normalise
from ...session.tenant_offer import models_for
from ...tenant import Tenant
from .api_errors import ApiError

# Names that stand for the default model: those of OpenAI's speech-to-text models, and those of
# Whisper models in other servers and in the hub, with or without their owner.
_ALIAS = re.compile(
    r"""
    | gpt-(?:live-|4o-(?:mini-)?)?transcribe(?:-.+)? | gpt-(?:4o-(?:mini-)?)?realtime(?:-.+)?
    | (?:[\w.-]+/)? (?:faster-)? (?:distil-)? whisper- .+
    | (?:distil-)? (?:tiny|base|small|medium|large) (?:[.-] .+)? | turbo
    """,
    re.VERBOSE | re.IGNORECASE,
)


def unsupported_language(tag: str, model: ServedModel) -> str | None:
    """Return why a model does not serve a language; None if it does."""
    if normalise(tag, model.languages) is not None:
        return None
    return (
        f"model {model.name} does not support language {printable(tag, 20)!r}; it supports "
        f"{', '.join(model.languages)}"
    )


class Catalogue:
    """The models that the API offers.

    Args:
        models: the served models, the default first.
        started: when the server started, in seconds since the epoch.
        any_name: whether a name that is not known stands for the default model.
    """

    def __init__(
        self, models: Sequence[ServedModel], *, started: int, any_name: bool = False
    ) -> None:
        self._models = {model.name: model for model in models}
        self._started = started
        self._any_name = any_name

    def of(self, tenant: Tenant) -> Catalogue:
        """Return the part of the catalogue that a tenant may use."""
        models = models_for(tuple(self._models.values()), tenant)
        return Catalogue(models, started=self._started, any_name=self._any_name)

    def resolve(self, name: str, languages: Sequence[str] = ()) -> ServedModel:
        """Return the model that a name stands for.

        Args:
            name: a served model, or an alias or "" for the default model.
            languages: language tags of the request; an alias stands for the first model that
                supports most of them.

        Raises:
            ApiError: 404, the name is not known.
        """
        served = self._models.get(name) or self._models.get(name.rpartition("/")[2])
        if served is not None:
            return served
        if self._any_name or _ALIAS.fullmatch(name):
            return max(
                self._models.values(),
                key=lambda model: sum(bool(normalise(tag, model.languages)) for tag in languages),
            )
        raise ApiError(
            404,
            f"there is no model {printable(name, 80)!r}; this server has "
            f"{', '.join(self._models)}, and whisper-1 stands for the first",
            param="model",
            code="model_not_found",
        )

    def list(self) -> dict[str, Any]:
        """Return the answer to GET /v1/models."""
        models = [self._describe(name, model) for name, model in self._models.items()]
        default = next(iter(self._models.values()))
        return {"object": "list", "data": [*models, self._describe("whisper-1", default)]}

    def retrieve(self, name: str) -> dict[str, Any]:
        """Return the answer to GET /v1/models/{name}. Aliases are known as well.

        Raises:
            ApiError: 404, the name is not known.
        """
        return self._describe(name, self.resolve(name))

    def _describe(self, name: str, model: ServedModel) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": model.attribution.name or "local",
            "languages": model.languages,
            "capabilities": model.capabilities.names,
        }
