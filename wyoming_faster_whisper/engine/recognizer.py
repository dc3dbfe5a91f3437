"""Recognizer: what a speech-to-text library offers, before a model is loaded. Pure.

docs/recognizers.md shows how to write one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from ..errors import ModelError
from .protocol import DecodeOptions, Engine, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Optional features of a model.

    An engine never gets a job that needs a feature that is False here.
    """

    detects_language: bool = False  # decodes jobs without a language; its transcripts name it
    translates: bool = False  # the task "translate"
    takes_prompt: bool = False
    takes_hotwords: bool = False
    takes_beam_size: bool = False
    continues_prefix: bool = False  # the text of a job with a prefix begins with the prefix
    times_words: bool = False  # returns the words and their times for jobs that want them
    scores_tokens: bool = False  # returns the log-probability of each token for such jobs
    samples: bool = False  # samples at the temperature of the job
    scores_end: bool = False  # returns end-of-text scores for jobs that want them

    @property
    def names(self) -> list[str]:
        """Names of the features that the model has, as clients get them."""
        return [one.name for one in fields(self) if getattr(self, one.name)]


EVERYTHING = Capabilities(
    detects_language=True,
    translates=True,
    takes_prompt=True,
    takes_hotwords=True,
    takes_beam_size=True,
    continues_prefix=True,
    times_words=True,
    scores_tokens=True,
    samples=True,
    scores_end=True,
)


# Decode option, and the capability that it needs.
_NEEDS = (
    ("task", "translates"),
    ("prompt", "takes_prompt"),
    ("hotwords", "takes_hotwords"),
    ("beam_size", "takes_beam_size"),
    ("word_times", "times_words"),
    ("token_logprobs", "scores_tokens"),
    ("temperature", "samples"),
)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Author of a library or a model."""

    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Description of a model, as clients get it.

    Raises:
        ModelError: the model has no language.
    """

    name: str  # a request can choose the model by it
    languages: tuple[str, ...]  # Whisper's language codes; the first is the default
    description: str = ""
    attribution: Attribution = Attribution()
    capabilities: Capabilities = Capabilities()
    # Languages in which the model pads all audio to 30 s; "" = while it detects the language.
    padded: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.languages:
            raise ModelError(f"model {self.name} has no language")


def is_padded(model: ServedModel, options: DecodeOptions) -> bool:
    """Return whether the model pads all audio with these options to 30 s."""
    languages = (options.language,) if options.language else options.candidate_languages or ("",)
    return not model.padded.isdisjoint(languages)


def unmet_needs(job: Job, model: ServedModel) -> list[str]:
    """Return what a job needs that a model cannot do: names of options, or language."""
    usual, options, can = DecodeOptions(), job.options, model.capabilities
    unmet = [
        option
        for option, capability in _NEEDS
        if getattr(options, option) != getattr(usual, option) and not getattr(can, capability)
    ]
    if job.prefix and not can.continues_prefix:
        unmet.append("prefix")
    if job.score_end and not can.scores_end:
        unmet.append("score_end")
    needed = {options.language or model.languages[0], *options.candidate_languages}
    detects = options.language is None and len(model.languages) > 1
    if not needed <= set(model.languages) or (detects and not can.detects_language):
        unmet.append("language")
    return unmet


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads one model."""

    # It runs in a thread, may take minutes, and runs again after a hang, or for new files.
    load: Callable[[], Engine]
    # Returns a value that changes when the model's files are replaced, None if they are not
    # there. It runs in a thread. None = the files never change.
    version: Callable[[], Hashable] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognizer:
    """A speech-to-text library with the models that it offers.

    Raises:
        ModelError: there is no model.
    """

    models: tuple[ServedModel, ...]  # the default first
    # Loads all models. It runs in a thread, may take minutes, and runs again after a hang.
    load: Callable[[], Engine] | None = None
    # Instead of load: loads one model, by its name.
    loaders: Mapping[str, Loader] = field(default_factory=dict)
    # Loads what decoding in a language (Whisper's code) needs besides the models. It is called
    # once per language, in a thread, while the models load or a client speaks. Errors are logged.
    prepare: Callable[[str], None] = lambda language: None
    close: Callable[[], None] = lambda: None  # frees what load() started; called once, blocking
    # Returns why nothing can be decoded although all is loaded; None = jobs may come. It runs on
    # the event loop.
    obstacle: Callable[[], str | None] = lambda: None
    # Returns the jobs since the start by engine and outcome, if there are several engines. It
    # runs on the event loop.
    outcomes: Callable[[], Mapping[tuple[str, str], int]] = dict
    description: str = ""
    attribution: Attribution = Attribution()

    def __post_init__(self) -> None:
        if not self.models:
            raise ModelError("the speech-to-text library offers no model")
        assert self.load is not None or set(self.loaders) == {one.name for one in self.models}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerSettings:
    """The operator's settings for a recognizer."""

    models: tuple[str, ...] = ("auto",)  # as in --model; "auto" = the recognizer chooses
    folders: tuple[Path, ...]  # folders with models; downloads go into the first; not empty
    local_files_only: bool = False  # never download
    device: str = "cpu"  # as in --device: cpu, cuda, cuda:N or auto
    threads: int = 1  # maximum number of threads that decode one utterance


RecognizerFactory = Callable[[RecognizerSettings], Recognizer]
"""Describes a library's models. It must be quick, load no model and not use the network.

Raises:
    ImportError: the library is not installed.
    ServerError: a setting cannot be served.
"""
