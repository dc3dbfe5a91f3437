"""What a client asks of its utterance, and what it gets. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..engine.protocol import DecodeOptions
from ..engine.remote.protocol import RELAYED
from ..errors import printable
from ..models.languages import means_detect, normalise

_LOGGER = logging.getLogger(__name__)

# Longer lists are cut: the decoder's prompt takes some 200 tokens anyway.
MOST_NAMES = 500
LONGEST_NAME = 100  # characters


class ServedModel(Protocol):
    """What is known of a model that is served."""

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a client wants of its next utterance."""

    language: str | None = None  # any tag
    model: str | None = None  # by the name in Info
    hotwords: tuple[str, ...] = ()  # to expect, most important first
    vad_sensitivity: str | None = None  # how soon silence ends the turn; None: not said
    context: dict[str, Any] | None = field(default=None, hash=False)  # handed back

    @property
    def relayed(self) -> bool:
        """It was sent on by a server that has us for an upstream: we decode it."""
        return bool(self.context and self.context.get(RELAYED))


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from, and what is chosen when nobody says."""

    models: Sequence[ServedModel]  # the default first; not empty
    options: DecodeOptions = field(default_factory=DecodeOptions)
    home_names: Callable[[], tuple[str, ...]] = tuple  # the names that Home Assistant knows now

    def accept(
        self, request: Request, client: str, warned: set[str] | None = None
    ) -> DecodeOptions:
        """Turn a request into options; what cannot be had is logged and left out.

        Args:
            client: its name, for the log.
            warned: kinds of warnings it had already; they are not logged again.
        """
        warned = set() if warned is None else warned
        model = self._model(request, client, warned)
        language = self._language(request.language, model, client, warned)
        among = tuple(
            code for code in self.options.candidate_languages if code in model.languages
        )
        return replace(
            self.options,
            model=model.name,
            language=language,
            candidate_languages=among,
            hotwords=(*request.hotwords[:MOST_NAMES], *self.home_names()[:MOST_NAMES]),
        )

    def _model(self, request: Request, client: str, warned: set[str]) -> ServedModel:
        named = [model for model in self.models if model.name == request.model]
        if named:
            return named[0]
        if request.model:
            if "model" not in warned:
                _LOGGER.warning(
                    "%s: there is no model %r here; %s serves",
                    client,
                    printable(request.model, 40),
                    self.models[0].name,
                )
            warned.add("model")
        elif request.language and not means_detect(request.language):
            for model in self.models:
                if normalise(request.language, model.languages) is not None:
                    return model
        return self.models[0]

    def _language(
        self, wanted: str | None, model: ServedModel, client: str, warned: set[str]
    ) -> str | None:
        """The code to decode with; None = detect."""
        if len(model.languages) == 1:
            default: str | None = model.languages[0]
        else:
            default = self.options.language
        if not wanted:
            return default
        if means_detect(wanted):
            return None if len(model.languages) > 1 else default
        code = normalise(wanted, model.languages)
        if code is None:
            if "language" not in warned:
                _LOGGER.warning(
                    "%s: model %s knows no language %r; decoding as %s",
                    client,
                    model.name,
                    printable(wanted, 20),
                    default or "whatever it hears",
                )
            warned.add("language")
            return default
        return code
