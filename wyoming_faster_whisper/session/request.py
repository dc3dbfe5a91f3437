"""A client's request for an utterance, and the decode options that result from it. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..engine.protocol import DecodeOptions
from ..engine.recognizer import ServedModel
from ..engine.remote.protocol import RELAYED
from ..errors import printable
from ..models.languages import means_detect, normalise

_LOGGER = logging.getLogger(__name__)

# Longer lists of hotwords are cut: the decoder's prompt holds only some 200 tokens anyway.
MOST_NAMES = 500
LONGEST_NAME = 100  # characters


@dataclass(frozen=True, slots=True)
class Request:
    """A client's wishes for its next utterance."""

    language: str | None = None  # any language tag; None = the server's default
    model: str | None = None  # a model's name in Info; None = the server's choice
    hotwords: tuple[str, ...] = ()  # most important first
    vad_sensitivity: str | None = None  # sets how soon silence ends the turn; None = not given
    context: dict[str, Any] | None = field(default=None, hash=False)  # returned with the answer
    word_times: bool = False  # the answer also gives the time of each word

    @property
    def relayed(self) -> bool:
        """True if another server relayed the request to this one, which must not relay it on."""
        return bool(self.context and self.context.get(RELAYED))


@dataclass(frozen=True, slots=True)
class Offer:
    """The models and options that this server offers, and its defaults."""

    models: Sequence[ServedModel]  # the default first; not empty
    options: DecodeOptions = field(default_factory=DecodeOptions)  # defaults
    home_names: Callable[[], tuple[str, ...]] = tuple  # returns Home Assistant's current names

    def accept(
        self, request: Request, client: str, warned: set[str] | None = None
    ) -> DecodeOptions:
        """Turn a request into decode options.

        An unknown model or language is logged and replaced by the default.

        Args:
            client: the client's name in the log.
            warned: kinds of warnings already logged for this client. They are not logged again;
                new kinds are added.
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
            word_times=request.word_times,
            hotwords=(*request.hotwords[:MOST_NAMES], *self.home_names()[:MOST_NAMES]),
        )

    def _model(self, request: Request, client: str, warned: set[str]) -> ServedModel:
        named = [model for model in self.models if model.name == request.model]
        if named:
            return named[0]
        if request.model:
            if "model" not in warned:
                _LOGGER.warning(
                    "%s: this server has no model %r; using %s",
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
        """Return the language code to decode with; None = detect the language."""
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
                    "%s: model %s does not support language %r; using %s",
                    client,
                    model.name,
                    printable(wanted, 20),
                    default or "language detection",
                )
            warned.add("language")
            return default
        return code
