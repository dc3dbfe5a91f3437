"""Calibrations: the values that were fitted on data, by model and language.

A file <model>.<language>.json has the values for one model and language, each section with its
provenance; "any" stands for all models or languages. If no file of a model has a section, the
model is not calibrated for it. The values then come from any.<language>.json or any.any.json,
which have cautious rules, or, for a section without such a rule, from base.en.json, the only
file with all of these sections. So other sizes get those of English in every language.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar, get_type_hints

from ....biasing.weights import NameWeights, OrderGains
from ....models import size_of, standard_name
from ....speech.turn_classifier import TurnClassifier
from .. import coverage, hallucination, rescoring
from ..language import Detection
from ..speech_odds import SpeechClassifier
from ..window import Window

_LOGGER = logging.getLogger(__name__)

ANY = "any"
_FITTED = ("base", "en")  # model and language of the file for sections without a rule

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted values for one model and language. Each field is a section of the files."""

    window: Window
    hallucination: hallucination.Thresholds
    speech: SpeechClassifier
    coverage: coverage.Limits
    rescoring: rescoring.Weights
    detection: Detection
    names: NameWeights
    grammar: OrderGains
    end_of_turn: TurnClassifier


class Calibrations:
    """Calibrations of one model, by language. Reads all its files at once.

    Args:
        model: name of the model, in any of the forms that standard_name() knows.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        own = [name for name in dict.fromkeys((standard_name(model), size_of(model))) if name]
        self._own = [_files(name) for name in own]  # sections by language
        self._any = _files(ANY)
        self._fitted = _files(_FITTED[0])[_FITTED[1]]
        self._found: dict[str, tuple[Calibration, tuple[str, ...]]] = {}
        self._known: dict[str, Calibration] = {}

    def of(self, language: str) -> Calibration:
        """Return the calibration for a language.

        Missing sections are logged once per language.

        Args:
            language: Whisper's code; "" = not detected yet.
        """
        if language not in self._known:
            self._known[language], missing = self.find(language)
            if missing and language:
                _LOGGER.info(
                    "Model %s is not calibrated in language %s for %s; using cautious defaults",
                    self._model,
                    language,
                    ", ".join(missing).replace("_", " "),
                )
        return self._known[language]

    def find(self, language: str) -> tuple[Calibration, tuple[str, ...]]:
        """Return the calibration for a language, and the sections that the model lacks."""
        if not any(language in files for files in (*self._own, self._any)):
            language = ""  # languages without a file share one calibration
        if language not in self._found:
            self._found[language] = self._assembled(language)
        return self._found[language]

    def _assembled(self, language: str) -> tuple[Calibration, tuple[str, ...]]:
        own = [files[each] for files in self._own for each in (language, ANY) if each in files]
        shared = [self._any[each] for each in (language, ANY) if each in self._any]
        missing: list[str] = []
        values: dict[str, Any] = {}
        for section in (field.name for field in fields(Calibration)):
            if not any(section in each for each in own):
                missing.append(section)
            found = next(each for each in (*own, *shared, self._fitted) if section in each)
            values[section] = found[section]["values"]
        return _build(Calibration, values), tuple(missing)


@cache
def _files(model: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the sections of each file of a model, by language."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in resources.files(__package__).iterdir():
        name, _, language = path.name.removesuffix(".json").rpartition(".")
        if name == model and path.name.endswith(".json"):
            found[language] = json.loads(path.read_text("utf-8"))
    return found


def _build(kind: Callable[..., T], values: Mapping[str, Any]) -> T:
    """Make a dataclass, and the dataclasses in it, of values by field.

    Raises:
        TypeError: a field is missing or unknown.
    """
    parts = _parts(kind)
    return kind(
        **{
            name: _build(parts[name], value) if name in parts else value
            for name, value in values.items()
        }
    )


@cache  # get_type_hints() compiles every annotation
def _parts(kind: Callable[..., Any]) -> Mapping[str, type[Any]]:
    """Return the types of the fields of a dataclass that are dataclasses themselves."""
    types = get_type_hints(kind).items()
    return {name: part for name, part in types if is_dataclass(part) and isinstance(part, type)}
