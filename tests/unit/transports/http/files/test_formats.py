"""Answers of the HTTP API in all formats."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import RECORD
from wyoming_faster_whisper.engine.protocol import TokenLogprob, Transcript, Word
from wyoming_faster_whisper.session.events import Answer, TimedSegment
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.files.form import (
    Granularity,
    ResponseFormat,
    Task,
    TranscriptionForm,
)
from wyoming_faster_whisper.transports.http.files.formats import (
    SSE_END,
    render,
    sse_delta,
    sse_done,
    sse_error,
)

WORDS = (
    Word("Bread", 0.25, 0.5, 0.98765, (1,)),
    Word("&", 0.5, 0.75, 0.9, (2,)),
    Word("butter.", 0.75, 1.5, 0.9, (3, 4)),
    Word("Good", 3.0, 3.5, 0.9, (5,)),
    Word("night.", 3.5, 4.2504, 0.9, (6, 7)),
)
LOGPROBS = (
    TokenLogprob(" Bread", b" Bread", -0.1234567),
    TokenLogprob("\ufffd", b"\xc3", -math.inf),
)
SEGMENT = TimedSegment(
    start=0.25,
    end=4.25,
    text="Bread & butter. Good night.",
    tokens=(1, 2, 3, 4, 5, 6, 7),
    avg_logprob=-0.25,
    no_speech_prob=0.0123,
    words=WORDS,
    token_logprobs=LOGPROBS,
)
NEXT = TimedSegment(61.5, 63.0, "Küche", (8,), -0.5, 0.0, (Word("Küche", 61.5, 63.0, 0.9, (8,)),))


def answer(
    *segments: TimedSegment, text: str | None = None, language: str | None = "en"
) -> Answer:
    said = " ".join(segment.text for segment in segments) if text is None else text
    record = replace(RECORD, heard=64.12345, language=language, text=said)
    return Answer(Transcript(said, language), segments, record)


SAID = answer(SEGMENT, NEXT)
USAGE = {"type": "duration", "seconds": 64.123}


def form(response_format: str, *granularities: str, **more: Any) -> TranscriptionForm:
    return TranscriptionForm(
        response_format=ResponseFormat(response_format),
        granularities=frozenset(map(Granularity, granularities)),
        **more,
    )


def rendered(said: Answer, form: TranscriptionForm, **more: Any) -> Any:
    body, content_type = render(said, form, **more)
    assert content_type == "application/json"
    return json.loads(body)


def text(said: Answer, response_format: str) -> str:
    body, content_type = render(said, form(response_format))
    assert content_type.endswith("; charset=utf-8")
    return body.decode()


def test_json_has_the_text_the_language_and_the_duration() -> None:
    assert rendered(SAID, form("json")) == {
        "text": "Bread & butter. Good night. Küche",
        "languages": [{"code": "en"}],
        "usage": USAGE,
    }


def test_json_is_not_escaped() -> None:
    body, _ = render(SAID, form("json"))
    assert "Küche".encode() in body


def test_json_has_segments_and_words_on_request() -> None:
    body = rendered(SAID, form("json", "word", "segment"))
    assert [segment["text"] for segment in body["segments"]] == [
        " Bread & butter.",
        " Good night.",
        " Küche",
    ]
    assert body["words"][0] == {"word": "Bread", "start": 0.25, "end": 0.5, "probability": 0.9877}
    assert len(body["words"]) == 6


def test_log_probabilities_come_on_request_and_are_finite() -> None:
    assert rendered(SAID, form("json", logprobs=True))["logprobs"] == [
        {"token": " Bread", "bytes": [*b" Bread"], "logprob": -0.123457},
        {"token": "\ufffd", "bytes": [195], "logprob": -9999.0},
    ]


def test_verbose_json_has_all_members_of_openai_s() -> None:
    body = rendered(SAID, form("verbose_json"))
    segments = body.pop("segments")
    assert body == {
        "task": "transcribe",
        "language": "english",
        "language_code": "en",
        "duration": 64.123,
        "text": "Bread & butter. Good night. Küche",
        "usage": USAGE,
    }
    assert segments[1] == {
        "id": 1,
        "seek": 25,
        "start": 3.0,
        "end": 4.25,
        "text": " Good night.",
        "tokens": [5, 6, 7],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 0.5789,
        "no_speech_prob": 0.0123,
    }
    assert [segment["id"] for segment in segments] == [0, 1, 2]
    assert [segment["seek"] for segment in segments] == [25, 25, 6150]


def test_verbose_json_has_segments_even_if_only_words_are_asked_for() -> None:
    body = rendered(SAID, form("verbose_json", "word"))
    assert len(body["segments"]) == 3
    assert len(body["words"]) == 6


def test_the_language_can_be_given_by_its_code() -> None:
    body = rendered(SAID, form("verbose_json"), language_codes=True)
    assert (body["language"], body["language_code"]) == ("en", "en")


@pytest.mark.parametrize(
    ("detected", "requested", "name"),
    [
        ("yue", "zh", "cantonese"),
        (None, "de-AT", "german"),
        (None, "auto", ""),
        (None, None, ""),
    ],
)
def test_the_language_is_the_detected_one_or_else_the_requested(
    detected: str | None, requested: str | None, name: str
) -> None:
    silent = answer(language=detected)
    assert rendered(silent, form("verbose_json", language=requested))["language"] == name


def test_a_translation_is_english() -> None:
    said = answer(SEGMENT, language="de")
    body = rendered(said, form("verbose_json", task=Task.TRANSLATE))
    assert (body["task"], body["language"]) == ("translate", "english")


def test_a_language_without_spaces_gets_none_before_a_segment() -> None:
    said = answer(replace(NEXT, text="厨房", words=()), language="zh")
    assert rendered(said, form("verbose_json"))["segments"][0]["text"] == "厨房"


def test_without_speech_all_formats_are_valid() -> None:
    silent = answer(language=None)
    assert rendered(silent, form("json")) == {"text": "", "usage": USAGE}
    assert rendered(silent, form("verbose_json", "word"))["segments"] == []
    assert rendered(silent, form("verbose_json", "word"))["words"] == []
    assert text(silent, "text") == "\n"
    assert text(silent, "srt") == ""
    assert text(silent, "vtt") == "WEBVTT\n"


def test_text_ends_with_a_newline() -> None:
    assert text(SAID, "text") == "Bread & butter. Good night. Küche\n"


def test_subtitles_are_cut_at_sentences() -> None:
    assert text(SAID, "srt") == (
        "1\n00:00:00,250 --> 00:00:01,500\nBread & butter.\n\n"
        "2\n00:00:03,000 --> 00:00:04,250\nGood night.\n\n"
        "3\n00:01:01,500 --> 00:01:03,000\nKüche\n"
    )
    assert text(SAID, "vtt").startswith(
        "WEBVTT\n\n00:00:00.250 --> 00:00:01.500\nBread &amp; butter.\n\n"
    )
    assert text(SAID, "tsv").splitlines()[1] == "250\t1500\tBread & butter."


@pytest.mark.parametrize(
    ("response_format", "content_type"),
    [
        ("text", "text/plain; charset=utf-8"),
        ("srt", "application/x-subrip; charset=utf-8"),
        ("vtt", "text/vtt; charset=utf-8"),
        ("tsv", "text/tab-separated-values; charset=utf-8"),
    ],
)
def test_every_format_has_its_content_type(response_format: str, content_type: str) -> None:
    assert render(SAID, form(response_format))[1] == content_type


def test_a_lone_surrogate_breaks_no_format() -> None:
    said = answer(replace(NEXT, text="a\ud800b", words=()))
    for name in ResponseFormat:
        body, _ = render(said, form(name))
        assert "a?b" in body.decode()


# Server-sent events.


def read_event(event: bytes) -> tuple[str, Any]:
    lines = event.decode().splitlines()  # the strictest way to read it
    assert len(lines) == 3
    assert lines[2] == ""
    name, data = lines[0], lines[1]
    assert event.endswith(b"\n\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_a_delta_is_one_event_named_like_its_type() -> None:
    name, data = read_event(sse_delta(" Küche\n"))
    assert name == data["type"] == "transcript.text.delta"
    assert data == {"type": "transcript.text.delta", "delta": " Küche\n"}


def test_an_event_has_no_other_line_ends() -> None:
    ends = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    _, data = read_event(sse_delta(ends))
    assert data["delta"] == ends


def test_the_last_event_has_what_json_has_but_the_usage() -> None:
    name, data = read_event(sse_done(SAID, form("json", "segment", stream=True)))
    assert name == data.pop("type") == "transcript.text.done"
    assert data | {"usage": USAGE} == rendered(SAID, form("json", "segment"))
    assert "usage" not in data


def test_verbose_json_streams_its_segments_in_the_last_event() -> None:
    _, data = read_event(sse_done(SAID, form("verbose_json", stream=True)))
    assert len(data["segments"]) == 3


def test_an_error_in_a_stream_has_openai_s_error_object() -> None:
    name, data = read_event(sse_error(ApiError(500, "the model failed", type="server_error")))
    assert name == "error"
    assert data["error"]["message"] == "the model failed"


def test_a_stream_ends_with_done() -> None:
    assert SSE_END == b"data: [DONE]\n\n"
