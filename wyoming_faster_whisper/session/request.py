"""A client's request for an utterance, and the decode options that result from it. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..audio.preprocess import Preprocessing, Preprocessor
from ..engine.protocol import DecodeOptions
from ..engine.recognizer import ServedModel
from ..engine.remote.protocol import RELAYED
from ..errors import printable
from ..models.languages import means_detect, normalise
from ..speech.endpointing import TurnRules
from ..speech.segmenter import FRAGMENT, Rules

_LOGGER = logging.getLogger(__name__)

_PLAIN = DecodeOptions()  # needs no capability

# Decode option, the capability that it needs, and what a model without it does.
_NEEDS = (
    ("beam_size", "takes_beam_size", "has no beam"),
    ("task", "translates", "does not translate"),
    ("prompt", "takes_prompt", "takes no prompt; ignoring the client's"),
    ("temperature", "samples", "has no temperature; ignoring the client's"),
    ("word_times", "times_words", "gives no times of words"),
    ("token_logprobs", "scores_tokens", "gives no log-probabilities of tokens"),
)

# Longer lists of hotwords are cut: the decoder's prompt holds only some 200 tokens anyway.
MOST_NAMES = 500
LONGEST_NAME = 100  # characters
# The decoder takes the last 223 tokens of a prompt, and a token of a text has fewer than 9
# characters on average.
LONGEST_PROMPT = 2000  # characters; of a longer one, the end is used


@dataclass(frozen=True, slots=True)
class Request:
    """A client's wishes for its next utterance."""

    language: str | None = None  # any language tag; None = the server's default
    expected: bool = False  # language is only the likeliest one, if it is one of the home's
    model: str | None = None  # a model's name in Info; None = the server's choice
    hotwords: tuple[str, ...] = ()  # most important first
    vad_sensitivity: str | None = None  # sets how soon silence ends the turn; None = not given
    context: dict[str, Any] | None = field(default=None, hash=False)  # returned with the answer
    word_times: bool = False  # the answer also gives the time of each word
    task: str | None = None  # "transcribe" or "translate" (to English); None = the server's
    prompt: str | None = None  # replaces the server's, "" with none; None = the server's
    temperature: float = 0.0  # of the decoder, 0 to 1; 0 = the most probable text (beam search)
    candidate_languages: tuple[str, ...] = ()  # any language tags; () = as the server's settings
    token_logprobs: bool = False  # the answer also gives the log-probability of each token
    endpointing: TurnRules | None = None  # replaces the server's; None = the server's
    vad_threshold: float | None = None  # probability of speech, 0 to 1; None = the server's
    vad_pad: float = 0.0  # seconds of silence kept at both ends of speech, at least; 0 = default
    vad_min_silence: float | None = None  # seconds of silence that end a segment; None = default
    partials: str | None = None  # partial text: "off", "auto" or "on"; None = as the session
    preprocess: tuple[str, ...] | None = None  # of Preprocessing.choices; None = the server's

    @property
    def relayable(self) -> bool:
        """True if an upstream server may be asked.

        It accepts only a language and names, so any other wish is served here. A request that
        another server relayed to this one is not relayed again.
        """
        if self.context and self.context.get(RELAYED):
            return False
        other = replace(
            self, language=None, expected=False, model=None, hotwords=(), context=None
        )
        # When the turn ends, and how speech is found and cleaned, is decided here in any case.
        other = replace(other, vad_sensitivity=None, endpointing=None, vad_threshold=None)
        other = replace(other, vad_pad=0.0, vad_min_silence=None, partials=None, preprocess=None)
        return other == Request()

    def rules(self, server: Rules) -> Rules:
        """Return what counts as speech: the server's rules, with what the request changes."""
        changed: dict[str, float] = {}
        if self.vad_threshold is not None:
            changed["threshold"] = self.vad_threshold
        if self.vad_min_silence is not None:
            # The client decides where speech is cut, so only a fragment waits for more.
            fragment = min(server.fragment, FRAGMENT)
            changed |= {"min_silence": self.vad_min_silence, "fragment": fragment}
        return replace(server, pad=max(server.pad, self.vad_pad), **changed)


@dataclass(frozen=True, slots=True)
class Offer:
    """The models and options that this server offers, and its defaults."""

    models: Sequence[ServedModel]  # the default first; not empty
    options: DecodeOptions = field(default_factory=DecodeOptions)  # defaults
    home_names: Callable[[], tuple[str, ...]] = tuple  # returns Home Assistant's current names
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    spoken: tuple[str, ...] = ()  # languages of the home, any tags; () = any, as requests say

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
        warnings = _Warnings(client, set() if warned is None else warned)
        model = self._model(request, warnings)
        candidates = self._candidates(request, model, warnings)
        detected = candidates or _known(self.options.candidate_languages, model)
        language = self._language(request.language, candidates, model, warnings)
        expected = language if self._may_differ(request, language, model) else None
        return replace(
            self.options,
            **self._optional(request, model, warnings),
            model=model.name,
            language=None if expected else language,
            candidate_languages=detected if model.capabilities.detects_language else (),
            expected_language=expected,
            hotwords=self._hotwords(request, model, warnings),
        )

    def model(self, request: Request, client: str, warned: set[str]) -> ServedModel:
        """Return the model that serves a request.

        Args:
            client, warned: as for accept().
        """
        return self._model(request, _Warnings(client, warned))

    def model_of(self, request: Request) -> str:
        """Return the name of the model that a request gets, without any warning."""
        return self._model(request, _Warnings("", {"model"})).name

    def preprocessor(self, request: Request, client: str, warned: set[str]) -> Preprocessor:
        """Make the preprocessing steps of a stream.

        Args:
            client, warned: as for accept().
        """
        try:
            return self.preprocessing.stream(request.preprocess)
        except KeyError as unknown:
            _Warnings(client, warned).once(
                "preprocess",
                f"a request cannot choose preprocessing {printable(unknown, 40)}, only "
                f"{', '.join(self.preprocessing.choices)}; using the server's",
            )
            return self.preprocessing.stream()

    def _optional(
        self, request: Request, model: ServedModel, warnings: _Warnings
    ) -> dict[str, Any]:
        """Return the decode options that need a capability: as wished, or else plain ones.

        The server's defaults cause no warning here: the operator was warned at the start.
        """
        default = self.options
        prompt = default.prompt if request.prompt is None else request.prompt[-LONGEST_PROMPT:]
        options: dict[str, Any] = {
            "beam_size": default.beam_size,
            "task": request.task or default.task,
            "prompt": prompt or None,
            "temperature": request.temperature,
            "word_times": request.word_times,
            "token_logprobs": request.token_logprobs,
        }
        for name, capability, limitation in _NEEDS:
            if getattr(model.capabilities, capability):
                continue
            plain, wished = getattr(_PLAIN, name), options[name]
            options[name] = plain
            if wished not in (plain, getattr(default, name)):
                warnings.once(name, f"model {model.name} {limitation}")
        return options

    def _hotwords(
        self, request: Request, model: ServedModel, warnings: _Warnings
    ) -> tuple[str, ...]:
        if model.capabilities.takes_hotwords:
            return (*request.hotwords[:MOST_NAMES], *self.home_names()[:MOST_NAMES])
        if request.hotwords:
            warnings.once(
                "hotwords", f"model {model.name} takes no names or terms; ignoring the client's"
            )
        return ()

    def _model(self, request: Request, warnings: _Warnings) -> ServedModel:
        named = [model for model in self.models if model.name == request.model]
        if named:
            return named[0]
        if request.model:
            warnings.once(
                "model",
                f"this server has no model {printable(request.model, 40)!r}; "
                f"using {self.models[0].name}",
            )
            return self.models[0]
        wanted = (request.language,) if request.language else request.candidate_languages
        # The first of several that support as many of the languages.
        return max(self.models, key=lambda model: len(_known(wanted, model)))

    def _candidates(
        self, request: Request, model: ServedModel, warnings: _Warnings
    ) -> tuple[str, ...]:
        """Return the codes of the client's candidate languages that the model supports."""
        known = _known(request.candidate_languages, model)
        if request.candidate_languages and not known:
            warnings.once(
                "candidates",
                f"model {model.name} supports none of the languages "
                f"{printable(', '.join(request.candidate_languages), 40)!r}; ignoring them",
            )
        return known

    def _may_differ(self, request: Request, language: str | None, model: ServedModel) -> bool:
        """Return True if another language of the home may be spoken than the given one.

        Args:
            language: the request's, or the server's default; None = detect.
        """
        if request.language and not request.expected:
            return False
        spoken = _known(self.spoken, model)
        return len(spoken) > 1 and language in spoken and model.capabilities.detects_language

    def _language(
        self,
        wanted: str | None,
        candidates: tuple[str, ...],
        model: ServedModel,
        warnings: _Warnings,
    ) -> str | None:
        """Return the language code to decode with; None = detect the language."""
        detects = len(model.languages) > 1 and model.capabilities.detects_language
        default = self.options.language
        if default not in model.languages:  # or detection, if it has several
            default = None if detects else model.languages[0]
        if candidates and (not wanted or means_detect(wanted)):
            if len(candidates) > 1 and detects:
                return None
            return default if default in candidates else candidates[0]
        if not wanted:
            return default
        if means_detect(wanted):
            if detects:
                return None
            if len(model.languages) > 1:
                warnings.once(
                    "detection",
                    f"model {model.name} does not detect languages; using {default}",
                )
            return default
        code = normalise(wanted, model.languages)
        if code is None:
            warnings.once(
                "language",
                f"model {model.name} does not support language "
                f"{printable(wanted, 20)!r}; using {default or 'language detection'}",
            )
            return default
        return code


def _known(languages: Sequence[str], model: ServedModel) -> tuple[str, ...]:
    """Return the codes of those languages that a model supports, in their order."""
    codes = (
        normalise(language, model.languages)
        for language in languages
        if not means_detect(language)
    )
    return tuple(dict.fromkeys(code for code in codes if code is not None))


@dataclass(frozen=True, slots=True)
class _Warnings:
    """Warnings for one client, each kind logged once."""

    client: str  # its name in the log
    logged: set[str]  # kinds of warnings already logged

    def once(self, kind: str, text: str) -> None:
        if kind not in self.logged:
            self.logged.add(kind)
            _LOGGER.warning("%s: %s", self.client, text)
