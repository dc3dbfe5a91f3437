"""Form of a transcription request: the text fields of an upload, checked and typed. Pure.

The fields are OpenAI's, `hotwords`, `task` and `background` of other servers, and `webhook_url`.
Clients send more than that, so unknown fields are ignored. A feature that the server lacks is
refused if ignoring it would change the answer; `vad_filter` is ignored, because silence is never
decoded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ....errors import visible
from ....models.languages import MULTILINGUAL_V3, means_detect, normalise
from ....session.request import LONGEST_NAME, MOST_NAMES
from ..api_errors import ApiError
from ..server_vad import ServerVad
from .form_fields import Fields, wrong

_LONGEST_MS = 60_000  # of padding and of silence


class ResponseFormat(StrEnum):
    """Format of the answer."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    TSV = "tsv"  # as openai/whisper writes it; not in OpenAI's API


_JSON_FORMATS = (ResponseFormat.JSON, ResponseFormat.VERBOSE_JSON)
_SUBTITLES = (ResponseFormat.SRT, ResponseFormat.VTT, ResponseFormat.TSV)


class Task(StrEnum):
    """Task of a request, as in Whisper."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"  # to English


class Granularity(StrEnum):
    """Unit for which the answer has times."""

    WORD = "word"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionForm:
    """A transcription request, without its file."""

    task: Task = Task.TRANSCRIBE
    model: str | None = None
    language: str | None = None  # as sent: known to normalise(), or a word for detection
    languages: tuple[str, ...] = ()  # Whisper's codes that detection may return; () = all
    prompt: str | None = None
    keywords: tuple[str, ...] = ()  # most important first
    response_format: ResponseFormat = ResponseFormat.JSON
    temperature: float = 0.0  # 0 to 1
    granularities: frozenset[Granularity] = frozenset()  # as requested; empty = none was
    logprobs: bool = False
    stream: bool = False
    chunking: ServerVad | Literal["auto"] | None = None
    background: bool = False
    webhook_url: str | None = None  # as sent

    @property
    def gives_words(self) -> bool:
        """True if the answer lists the words with their times."""
        return Granularity.WORD in self.granularities

    @property
    def gives_segments(self) -> bool:
        """True if the answer lists the segments with their times."""
        return (
            Granularity.SEGMENT in self.granularities
            or self.response_format is ResponseFormat.VERBOSE_JSON
        )

    @property
    def needs_word_times(self) -> bool:
        """True if the answer needs the times of words: segments and cues are cut at words."""
        return self.gives_words or self.gives_segments or self.response_format in _SUBTITLES


class FieldConflict(ApiError):
    """Fields that exclude each other, or that need another one, which may follow the file."""


def parse_form(fields: Sequence[tuple[str, str]], *, task: Task) -> TranscriptionForm:
    """Check the text fields of a request.

    Args:
        fields: names and values in the order of the body.
        task: of the route; the field `task` overrides it.

    Raises:
        ApiError: 400; `param` is the name of the field at fault.
        FieldConflict: likewise.
    """
    form = Fields(fields)
    _refuse(form)
    parsed = TranscriptionForm(
        task=form.choice("task", Task) or task,
        model=form.last("model"),
        language=_language(form),
        languages=tuple(_code("languages", tag) for tag in form.all("languages")),
        prompt=form.last("prompt"),
        keywords=_keywords(form),
        response_format=form.choice("response_format", ResponseFormat) or ResponseFormat.JSON,
        temperature=form.number("temperature", 0.0, most=1),
        granularities=frozenset(form.choices("timestamp_granularities", Granularity)),
        logprobs=bool(form.choices("include", _Include)),
        stream=form.boolean("stream"),
        chunking=_chunking(form),
        background=form.boolean("background"),
        webhook_url=form.last("webhook_url"),
    )
    _check_together(parsed)
    return parsed


class _Include(StrEnum):
    LOGPROBS = "logprobs"


_REFUSED = {
    "url": "this server fetches no URL; send the audio as file",
    "known_speaker_names": "this server does not tell speakers apart",
    "known_speaker_references": "this server does not tell speakers apart",
}


def _refuse(form: Fields) -> None:
    """Refuse fields that are known but not supported."""
    for name, why in _REFUSED.items():
        if form.all(name):
            raise ApiError(400, f"{name} is not supported: {why}", param=name)


def _language(form: Fields) -> str | None:
    """Return the tag as sent: the model's own list of languages decides what it stands for."""
    tag = form.last("language")
    if tag is not None and not means_detect(tag):
        _code("language", tag)
    return tag


def _code(param: str, tag: str) -> str:
    code = normalise(tag, MULTILINGUAL_V3)
    if code is None:
        raise wrong(param, tag, "a language of Whisper, such as en, pt-BR or german")
    return code


def _keywords(form: Fields) -> tuple[str, ...]:
    """Return the keywords, and the hotwords of other servers, which are separated by commas."""
    separated = [word for value in form.all("hotwords") for word in value.split(",")]
    sent = [word for word in form.all("keywords") + separated if word.strip()]
    if len(sent) > MOST_NAMES:
        raise wrong(
            "hotwords", f"a list of {len(sent)}", f"at most {MOST_NAMES} words or phrases"
        )
    words = [cleaned for word in sent if (cleaned := visible(word))]
    for word in words:
        if len(word) > LONGEST_NAME:
            raise wrong("keywords", word, f"at most {LONGEST_NAME} characters per word or phrase")
    return tuple(words)


def _chunking(form: Fields) -> ServerVad | Literal["auto"] | None:
    name = "chunking_strategy"
    value = form.last(name)
    if value is not None and value.startswith("{"):
        form = _object(name, value)
    elif value is not None:
        form = Fields([(f"{name}[type]", value)])

    def number(key: str, default: float, most: int) -> float:
        return form.number(f"{name}[{key}]", default, most=most)

    default = ServerVad()
    vad = ServerVad(
        number("threshold", default.threshold, 1),
        int(number("prefix_padding_ms", default.prefix_padding_ms, _LONGEST_MS)),
        int(number("silence_duration_ms", default.silence_duration_ms, _LONGEST_MS)),
    )
    match form.last(f"{name}[type]"):
        case None:
            return None if vad == default else vad
        case "auto":
            return "auto"
        case "server_vad":
            return vad
        case other:
            raise wrong(f"{name}[type]", other, "auto or server_vad")


def _object(name: str, text: str) -> Fields:
    """Return the members of a JSON object as fields."""
    try:
        members = json.loads(text)
        return Fields([(f"{name}[{k}]", str(v)) for k, v in members.items() if v is not None])
    except (ValueError, RecursionError):
        raise wrong(name, text, "a JSON object") from None


def _check_together(form: TranscriptionForm) -> None:
    """Refuse options that exclude each other."""
    if form.logprobs and not form.stream and form.response_format not in _JSON_FORMATS:
        raise FieldConflict(
            400,
            f"response_format {form.response_format} has no logprobs; use json or verbose_json",
            param="include",
        )
    if form.background and form.stream:
        raise FieldConflict(400, "a background request cannot be streamed", param="stream")
