"""A client's request for an utterance, and the decode options that result from it. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..engine.protocol import DecodeOptions
from ..engine.recognizer import EVERYTHING, Capabilities, ServedModel
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
    capabilities: Capabilities = EVERYTHING  # of all models

    def accept(
        self, request: Request, client: str, warned: set[str] | None = None
    ) -> DecodeOptions:
        """Turn a request into decode options.

        What the server cannot do is logged and replaced by the default, or left out.

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
            word_times=self._word_times(request, model, client, warned),
            hotwords=self._hotwords(request, model, client, warned),
        )

    def _word_times(
        self, request: Request, model: ServedModel, client: str, warned: set[str]
    ) -> bool:
        if request.word_times and not self.capabilities.times_words:
            _warn_once(
                warned, "word times", f"{client}: model {model.name} gives no times of words"
            )
            return False
        return request.word_times

    def _hotwords(
        self, request: Request, model: ServedModel, client: str, warned: set[str]
    ) -> tuple[str, ...]:
        if self.capabilities.takes_hotwords:
            return (*request.hotwords[:MOST_NAMES], *self.home_names()[:MOST_NAMES])
        if request.hotwords:
            _warn_once(
                warned,
                "hotwords",
                f"{client}: model {model.name} takes no names or terms; ignoring the client's",
            )
        return ()

    def _model(self, request: Request, client: str, warned: set[str]) -> ServedModel:
        named = [model for model in self.models if model.name == request.model]
        if named:
            return named[0]
        if request.model:
            _warn_once(
                warned,
                "model",
                f"{client}: this server has no model {printable(request.model, 40)!r}; "
                f"using {self.models[0].name}",
            )
        elif request.language and not means_detect(request.language):
            for model in self.models:
                if normalise(request.language, model.languages) is not None:
                    return model
        return self.models[0]

    def _language(
        self, wanted: str | None, model: ServedModel, client: str, warned: set[str]
    ) -> str | None:
        """Return the language code to decode with; None = detect the language."""
        detects = len(model.languages) > 1 and self.capabilities.detects_language
        default = self.options.language if len(model.languages) > 1 else model.languages[0]
        if default is None and not detects:
            default = model.languages[0]
        if not wanted:
            return default
        if means_detect(wanted):
            if detects:
                return None
            if len(model.languages) > 1:
                _warn_once(
                    warned,
                    "detection",
                    f"{client}: model {model.name} does not detect languages; using {default}",
                )
            return default
        code = normalise(wanted, model.languages)
        if code is None:
            _warn_once(
                warned,
                "language",
                f"{client}: model {model.name} does not support language "
                f"{printable(wanted, 20)!r}; using {default or 'language detection'}",
            )
            return default
        return code


def _warn_once(warned: set[str], kind: str, text: str) -> None:
    if kind not in warned:
        warned.add(kind)
        _LOGGER.warning("%s", text)
