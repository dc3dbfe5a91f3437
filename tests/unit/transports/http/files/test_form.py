"""Form of a transcription request: what clients send, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.files.form import (
    Granularity,
    ResponseFormat,
    Task,
    TranscriptionForm,
    parse_form,
)
from wyoming_faster_whisper.transports.http.server_vad import ServerVad


def form(*fields: tuple[str, str], task: Task = Task.TRANSCRIBE) -> TranscriptionForm:
    return parse_form(fields, task=task)


def refused(*fields: tuple[str, str]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        form(*fields)
    assert caught.value.status == 400
    return caught.value


def test_an_empty_form_has_openai_s_defaults() -> None:
    assert form() == TranscriptionForm(
        response_format=ResponseFormat.JSON, temperature=0.0, stream=False
    )


@pytest.mark.parametrize(
    "name",
    [
        *("model", "language", "languages[]", "prompt", "keywords[]", "hotwords", "task"),
        *("response_format", "temperature", "timestamp_granularities[]", "include[]", "stream"),
        *("chunking_strategy", "background", "url", "known_speaker_names[]"),
    ],
)
@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_value_counts_as_absent(name: str, value: str) -> None:
    assert form((name, value)) == TranscriptionForm()


def test_unknown_fields_are_ignored() -> None:
    assert form(("vad_filter", "false"), ("user", "me"), ("x[y]", "z")) == TranscriptionForm()


def test_the_last_of_several_values_counts() -> None:
    assert form(("model", "base"), ("model", "tiny.en")).model == "tiny.en"


def test_the_route_sets_the_task_and_a_field_overrides_it() -> None:
    assert form(task=Task.TRANSLATE).task is Task.TRANSLATE
    assert form(("task", "translate")).task is Task.TRANSLATE
    assert refused(("task", "summarise")).param == "task"


@pytest.mark.parametrize(
    "tag",
    ["en", "en-US", "zh_CN", "zh-tw", "fil", "nb", "iw", "English", "haitian creole", "auto"],
)
def test_a_language_is_passed_on_as_sent(tag: str) -> None:
    assert form(("language", tag)).language == tag


@pytest.mark.parametrize("tag", ["xx", "klingon", "e", "en,de"])
def test_a_language_that_whisper_does_not_have_is_refused(tag: str) -> None:
    error = refused(("language", tag))
    assert error.param == "language"
    assert repr(tag) in error.message


def test_possible_languages_become_whisper_s_codes() -> None:
    assert form(("languages[]", "de-AT"), ("languages[]", "nb")).languages == ("de", "no")
    assert refused(("languages[]", "xx")).param == "languages"


def test_keywords_and_hotwords_are_one_list() -> None:
    given = form(("hotwords", "Ray, Triton Server,"), ("keywords[]", "Küche, groß"))
    assert given.keywords == ("Küche, groß", "Ray", "Triton Server")


def test_too_many_and_too_long_keywords_are_refused() -> None:
    assert refused(("hotwords", "a," * 501)).message == (
        "hotwords is 'a list of 501'; it must be at most 500 words or phrases"
    )
    assert refused(("keywords[]", "a" * 101)).param == "keywords"


@pytest.mark.parametrize("name", [each.value for each in ResponseFormat])
def test_the_answer_has_one_of_six_formats(name: str) -> None:
    assert form(("response_format", name)).response_format == name


def test_a_format_with_speakers_is_refused_and_the_others_are_named() -> None:
    assert refused(("response_format", "diarized_json")).message == (
        "response_format is 'diarized_json'; it must be json, text, srt, verbose_json, vtt or tsv"
    )


@pytest.mark.parametrize(("value", "number"), [("0", 0.0), ("0.20", 0.2), ("1", 1.0)])
def test_a_temperature_is_a_number(value: str, number: float) -> None:
    assert form(("temperature", value)).temperature == number


@pytest.mark.parametrize("value", ["-0.1", "1.1", "nan", "inf", "0,2", "warm", "null"])
def test_a_temperature_outside_0_to_1_is_refused(value: str) -> None:
    assert refused(("temperature", value)).param == "temperature"


@pytest.mark.parametrize(
    "name", ["timestamp_granularities[]", "timestamp_granularities", "timestamp_granularities[0]"]
)
def test_a_list_needs_no_brackets(name: str) -> None:
    given = form((name, "word"), (name, "segment"))
    assert given.granularities == {Granularity.WORD, Granularity.SEGMENT}
    assert given.gives_words
    assert given.gives_segments


def test_verbose_json_gives_segments_and_words_only_on_request() -> None:
    given = form(("response_format", "verbose_json"))
    assert given.gives_segments
    assert not given.gives_words
    assert not form().gives_segments


def test_subtitles_segments_and_words_need_the_times_of_words() -> None:
    for name in ("srt", "vtt", "tsv", "verbose_json"):
        assert form(("response_format", name)).needs_word_times
    assert form(("timestamp_granularities", "segment")).needs_word_times
    assert not form().needs_word_times
    assert not form(("response_format", "text")).needs_word_times


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("0", False)],
)
def test_a_boolean_is_a_word_or_a_digit(value: str, expected: bool) -> None:
    assert form(("stream", value)).stream is expected
    assert form(("background", value)).background is expected


def test_another_boolean_is_refused() -> None:
    assert refused(("stream", "maybe")).message == "stream is 'maybe'; it must be true or false"


VAD = ServerVad(threshold=0.3, prefix_padding_ms=300, silence_duration_ms=500)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("chunking_strategy", "auto")], "auto"),
        ([("chunking_strategy", "server_vad")], ServerVad()),
        ([("chunking_strategy[type]", "auto")], "auto"),
        ([("chunking_strategy[type]", "server_vad")], ServerVad()),
        (
            [
                ("chunking_strategy[type]", "server_vad"),
                ("chunking_strategy[threshold]", "0.3"),
                ("chunking_strategy[silence_duration_ms]", "500"),
            ],
            VAD,
        ),
        (
            [
                (
                    "chunking_strategy",
                    '{"type": "server_vad", "threshold": 0.3, "silence_duration_ms": 500, '
                    '"prefix_padding_ms": null}',
                )
            ],
            VAD,
        ),
        ([("chunking_strategy", '{"type": "auto"}')], "auto"),
        ([("chunking_strategy", "{}")], None),
        ([("chunking_strategy[threshold]", "0.3")], ServerVad(threshold=0.3)),
    ],
)
def test_the_chunking_strategy_has_three_spellings(
    fields: list[tuple[str, str]], expected: object
) -> None:
    assert form(*fields).chunking == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunking_strategy", "semantic_vad"),
        ("chunking_strategy", "{"),
        ("chunking_strategy", '{"a":' * 10_000),
        ("chunking_strategy", '{"threshold": ' + "1" * 5000 + "}"),
        ("chunking_strategy", '{"threshold": NaN}'),
        ("chunking_strategy", '{"threshold": true}'),
        ("chunking_strategy", '{"type": ["server_vad"]}'),
        ("chunking_strategy[type]", "none"),
        ("chunking_strategy[threshold]", "1.5"),
        ("chunking_strategy[prefix_padding_ms]", "-1"),
        ("chunking_strategy[silence_duration_ms]", "1e9"),
    ],
)
def test_another_chunking_strategy_is_refused(name: str, value: str) -> None:
    param = refused((name, value)).param
    assert param is not None
    assert param.startswith(name)


@pytest.mark.parametrize(
    "name", ["url", "known_speaker_names[]", "known_speaker_references[]", "known_speaker_names"]
)
def test_what_would_change_the_answer_is_refused(name: str) -> None:
    error = refused((name, "data:audio/wav;base64,UklGRg=="))
    assert error.param == name.removesuffix("[]")
    assert "not supported" in error.message


def test_logprobs_need_a_format_that_holds_them() -> None:
    logprobs = ("include[]", "logprobs")
    assert form(logprobs).logprobs
    assert form(logprobs, ("response_format", "verbose_json")).logprobs
    assert form(logprobs, ("response_format", "text"), ("stream", "true")).logprobs
    assert refused(logprobs, ("response_format", "srt")).param == "include"
    assert refused(("include[]", "speakers")).param == "include"


def test_a_background_request_has_no_stream() -> None:
    assert refused(("background", "true"), ("stream", "true")).param == "stream"


NAMES = st.sampled_from(
    [
        *(
            "model",
            "language",
            "languages[]",
            "prompt",
            "keywords",
            "hotwords",
            "task",
            "include",
        ),
        *("response_format", "temperature", "timestamp_granularities[]", "stream", "background"),
        *("chunking_strategy", "chunking_strategy[type]", "chunking_strategy[threshold]"),
    ]
)
VALUES = st.text() | st.floats().map(str) | st.sampled_from(["{", "[", "auto", "true", "word"])


@given(st.lists(st.tuples(NAMES | st.text(), VALUES), max_size=10))
def test_any_fields_are_read_or_refused_by_name(fields: list[tuple[str, str]]) -> None:
    try:
        parsed = parse_form(fields, task=Task.TRANSCRIBE)
    except ApiError as error:
        parsed, param = None, error.param
    assert parsed is not None or param is not None
