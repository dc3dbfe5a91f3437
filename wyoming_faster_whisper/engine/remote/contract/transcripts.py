"""A transcript, and the description of a model, as tensors. Pure.

outputs() writes a transcript, and transcript() reads it. What has its default is not sent, and
what is read is checked. docs/remote.md describes the tensors.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ....speech.turn_classifier import (
    FEATURES,
    EndOfTextScores,
    LogisticRegression,
    TurnClassifier,
)
from ...protocol import TokenLogprob, Transcript, Word
from ...recognizer import Capabilities, ServedModel
from .members import Members, control_character, dump, finite, is_text, number
from .message import json_object
from .tensors import BYTES, FP32, Floats, MessageError, Strings, Tensor, short, utf8

CONTRACT = 1
"""Version of the contract. It changes if an older peer would misunderstand a message."""

TEXT, LANGUAGE, AVG_LOGPROB, DETAILS = "TEXT", "LANGUAGE", "AVG_LOGPROB", "DETAILS"

OUTPUTS = {TEXT: BYTES, LANGUAGE: BYTES, AVG_LOGPROB: FP32, DETAILS: BYTES}
"""Datatypes of the outputs by name. Each has two dimensions, of which the first is 1."""

MOST_OUTPUT_BYTES = 1024 * 1024
"""Largest response. 30 s of speech have about 250 tokens; each takes some 100 bytes."""

_LONGEST_TEXT = 10_000  # characters of a text; 30 s of speech have about 500
_LONGEST_NAME = 200  # characters
_LATEST = 60.0  # seconds of the end of a word; jobs have at most 30
_REGRESSIONS = ("quiet", "noisy")  # of a turn classifier
_THRESHOLDS = ("complete", "likely", "unsure")


def outputs(transcript: Transcript) -> list[Tensor]:
    """Return a transcript as tensors."""
    return [
        Strings(TEXT, (transcript.text.encode(errors="replace"),)),
        Strings(LANGUAGE, ((transcript.language or "").encode(),)),
        Floats(AVG_LOGPROB, np.array([[finite(transcript.avg_logprob)]], np.float32)),
        Strings(DETAILS, (dump(_details(transcript)),)),
    ]


def description_outputs(model: ServedModel) -> list[Tensor]:
    """Return a description as tensors: those of a transcript, with no text."""
    details = {
        "contract": CONTRACT,
        "model": model.name,
        "languages": model.languages,
        "capabilities": [
            field.name
            for field in fields(Capabilities)
            if getattr(model.capabilities, field.name)
        ],
    }
    *others, _ = outputs(Transcript(""))
    return [*others, Strings(DETAILS, (dump(details),))]


def transcript(tensors: Mapping[str, Tensor]) -> Transcript:
    """Read a transcript.

    Members of DETAILS that are not known are ignored: they are of a newer server.

    Raises:
        MessageError: the tensors are not a transcript.
    """
    text = utf8(_only(tensors, TEXT), f"{TEXT} is")
    if len(text) > _LONGEST_TEXT:
        raise MessageError(f"{TEXT} has {len(text)} characters, more than {_LONGEST_TEXT}")
    if control := control_character(text):
        raise MessageError(f"{TEXT} has the control character {control}")
    language = utf8(_only(tensors, LANGUAGE), f"{LANGUAGE} is")
    if len(language) > 20 or not language.isprintable():
        raise MessageError(f"{LANGUAGE} is {short(language)}")
    logprob = tensors.get(AVG_LOGPROB)
    if not isinstance(logprob, Floats) or logprob.values.size != 1:
        raise MessageError(f"there is no output {AVG_LOGPROB} with one element of type {FP32}")
    if not math.isfinite(avg_logprob := float(logprob.values.item())):
        raise MessageError(f"{AVG_LOGPROB} is not finite")
    given = Members(json_object(_only(tensors, DETAILS), DETAILS), DETAILS)
    return Transcript(
        text.strip(),
        language or None,
        avg_logprob,
        passes=given.whole("passes", 0, most=1000),
        verdict=given.text("verdict", "", longest=100) or "",
        end_scores=given.object("end_scores", _read_scores),
        turn_classifier=given.object("turn_classifier", _read_classifier),
        language_probability=given.number("language_probability", 1.0, least=0.0, most=1.0),
        provisional=given.flag("provisional"),
        unusable=given.flag("unusable"),
        tokens=given.items("tokens", _token),
        no_speech_prob=given.number("no_speech_prob", 0.0, least=0.0, most=1.0),
        words=given.items("words", _read_word),
        token_logprobs=given.items("token_logprobs", _read_token_logprob),
        temperature=given.number("temperature", 0.0, least=0.0, most=10.0),
    )


def description(tensors: Mapping[str, Tensor]) -> ServedModel:
    """Read a description.

    Raises:
        MessageError: it is not a description, or the server has another version of the contract.
    """
    given = Members(json_object(_only(tensors, DETAILS), DETAILS), DETAILS)
    if (version := given.whole("contract", 0, most=10**9)) != CONTRACT:
        raise MessageError(
            f"it has version {version} of the contract, and this server {CONTRACT}"
            if version
            else "its model does not describe itself"
        )
    able = set(given.texts("capabilities", longest=100))
    languages = given.texts("languages", longest=20)
    if not languages:
        raise MessageError("its model has no language")
    return ServedModel(
        given.text("model", "", longest=_LONGEST_NAME) or "",
        languages,
        capabilities=Capabilities(
            **{field.name: field.name in able for field in fields(Capabilities)}
        ),
    )


def _only(tensors: Mapping[str, Tensor], name: str) -> bytes:
    tensor = tensors.get(name)
    if not isinstance(tensor, Strings) or len(tensor.values) != 1:
        raise MessageError(f"there is no output {name} with one element of type {BYTES}")
    return tensor.values[0]


def _details(transcript: Transcript) -> dict[str, Any]:
    usual = Transcript("")
    sent: dict[str, Any] = {
        name: getattr(transcript, name)
        for name in ("passes", "verdict", "provisional", "unusable", "tokens")
        if getattr(transcript, name) != getattr(usual, name)
    }
    for name in ("language_probability", "no_speech_prob", "temperature"):
        if getattr(transcript, name) != getattr(usual, name):
            sent[name] = finite(getattr(transcript, name))
    if transcript.words:
        sent["words"] = [
            [word.text, finite(word.start), finite(word.end), finite(word.probability)]
            + ([list(word.tokens)] if word.tokens else [])
            for word in transcript.words
        ]
    if transcript.token_logprobs:
        sent["token_logprobs"] = [
            [each.token, base64.b64encode(each.bytes).decode(), finite(each.logprob)]
            for each in transcript.token_logprobs
        ]
    if (scores := transcript.end_scores) is not None:
        sent["end_scores"] = {
            field.name: finite(getattr(scores, field.name)) for field in fields(EndOfTextScores)
        }
    if (classifier := transcript.turn_classifier) is not None:
        sent["turn_classifier"] = {
            **{name: _regression(getattr(classifier, name)) for name in _REGRESSIONS},
            **{name: finite(getattr(classifier, name)) for name in _THRESHOLDS},
        }
    return sent


def _regression(fitted: LogisticRegression) -> dict[str, Any]:
    return {
        "intercept": finite(fitted.intercept),
        "weights": {name: finite(value) for name, value in fitted.weights.items()},
    }


def _read_word(item: Any) -> Word:
    text, start, end, probability, *tokens = item
    if not is_text(text, _LONGEST_TEXT) or control_character(text) or len(tokens) > 1:
        raise ValueError(item)
    if not 0 <= number(start) <= number(end) <= _LATEST or not 0 <= number(probability) <= 1.001:
        raise ValueError(item)
    return Word(
        text,
        float(start),
        float(end),
        float(probability),
        tuple(_token(token) for token in (tokens[0] if tokens else ())),
    )


def _read_token_logprob(item: Any) -> TokenLogprob:
    token, data, logprob = item
    if not is_text(token, _LONGEST_TEXT):
        raise TypeError(item)
    return TokenLogprob(token, base64.b64decode(data, validate=True), number(logprob))


def _read_scores(item: Mapping[str, Any]) -> EndOfTextScores:
    return EndOfTextScores(
        **{field.name: number(item[field.name]) for field in fields(EndOfTextScores)}
    )


def _read_classifier(item: Mapping[str, Any]) -> TurnClassifier:
    quiet, noisy = (_read_regression(item[name]) for name in _REGRESSIONS)
    return TurnClassifier(quiet, noisy, *(number(item[name]) for name in _THRESHOLDS))


def _read_regression(item: Mapping[str, Any]) -> LogisticRegression:
    weights = {name: number(item["weights"][name]) for name in FEATURES}
    return LogisticRegression(number(item["intercept"]), weights)


def _token(item: Any) -> int:
    if type(item) is not int or not 0 <= item < 2**31:
        raise ValueError(item)
    return item
