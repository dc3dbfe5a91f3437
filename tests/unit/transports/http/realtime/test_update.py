"""Updates of a realtime session: what they change, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.models.languages import ENGLISH, MULTILINGUAL
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.speech.endpointing import TurnRules
from wyoming_faster_whisper.transports.http.realtime.client_messages import RealtimeError
from wyoming_faster_whisper.transports.http.realtime.session import (
    LOGPROBS,
    AudioFormat,
    Eagerness,
    Encoding,
    RealtimeSession,
    TurnDetection,
)
from wyoming_faster_whisper.transports.http.realtime.update import updated
from wyoming_faster_whisper.transports.http.server_vad import ServerVad

BASE = ServedModel("base", MULTILINGUAL)
DEFAULT = RealtimeSession()
FULL = RealtimeSession(
    format=AudioFormat(Encoding.PCM, 16_000),
    model="whisper-1",
    language="de",
    languages=("de", "en"),
    prompt="Kitchen.",
    keywords=("Nanit", "Küche"),
    delay="low",
    noise_reduction="near_field",
    turn_detection=TurnDetection.SERVER_VAD,
    vad=ServerVad(0.7, 100, 900),
    eagerness=Eagerness.HIGH,
    logprobs=True,
)


def changed(session: RealtimeSession = DEFAULT, **fields: Any) -> RealtimeSession:
    """Update fields of session.audio.input."""
    return updated(session, {"type": "transcription", "audio": {"input": fields}})


def refused(given: object) -> RealtimeError:
    with pytest.raises(RealtimeError) as error:
        updated(FULL, given)
    return error.value


# Absent keeps, null clears.


@pytest.mark.parametrize(
    "given", [{}, {"type": "transcription"}, {"audio": {}}, {"audio": {"input": {}}}]
)
def test_a_field_that_is_absent_keeps_its_value(given: dict[str, Any]) -> None:
    assert updated(FULL, given) == FULL
    assert changed(FULL, transcription={}, turn_detection={}, noise_reduction={}) == FULL


def test_one_member_of_the_transcription_changes_alone() -> None:
    assert changed(FULL, transcription={"language": "fr"}) == replace(FULL, language="fr")


def test_null_clears_a_field() -> None:
    assert changed(FULL, turn_detection=None).turn_detection is None
    assert changed(FULL, noise_reduction=None).noise_reduction is None
    assert changed(FULL, format=None).format == AudioFormat()
    assert changed(FULL, transcription=None) == replace(
        FULL, model=None, language=None, languages=(), prompt=None, keywords=(), delay=None
    )
    assert changed(FULL, transcription={"prompt": None, "keywords": None}) == replace(
        FULL, prompt=None, keywords=()
    )
    assert not updated(FULL, {"include": None}).logprobs


def test_empty_strings_count_as_null() -> None:
    empty = {"language": "", "prompt": "", "model": ""}
    assert changed(FULL, transcription=empty) == replace(
        FULL, language=None, prompt=None, model=None
    )


def test_unknown_fields_and_those_of_spoken_answers_are_ignored() -> None:
    given = {
        "turn_detection": {
            "type": "server_vad",
            "create_response": True,
            "interrupt_response": False,
            "idle_timeout_ms": 5000,
        },
        "new": {"field": 1},
    }
    assert changed(FULL, **given) == FULL
    assert updated(FULL, {"instructions": "Be kind.", "voice": "marin"}) == FULL


def test_a_refused_update_changes_nothing() -> None:
    error = refused({"audio": {"input": {"turn_detection": None, "format": "mp3"}}})
    assert error.param == "session.audio.input.format.type"
    assert FULL.turn_detection is TurnDetection.SERVER_VAD


# The two forms.


def test_the_form_of_the_beta_says_the_same() -> None:
    beta = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1", "language": "de"},
        "input_audio_noise_reduction": {"type": "far_field"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        "include": [LOGPROBS],
    }
    assert updated(DEFAULT, beta) == RealtimeSession(
        format=AudioFormat(Encoding.ULAW, 8_000),
        model="whisper-1",
        language="de",
        noise_reduction="far_field",
        vad=ServerVad(0.5, 300, 300),
        logprobs=True,
    )
    assert updated(FULL, {"turn_detection": None}).turn_detection is None
    assert refused({"input_audio_format": "mp3"}).param == "session.input_audio_format.type"


def test_a_session_is_restored_from_its_body() -> None:
    assert updated(DEFAULT, FULL.body()) == replace(FULL, eagerness=Eagerness.AUTO)
    by_client = replace(FULL, turn_detection=None, eagerness=Eagerness.AUTO, vad=DEFAULT.vad)
    assert updated(DEFAULT, by_client.body()) == by_client


# Formats.


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pcm16", AudioFormat(Encoding.PCM, 24_000)),
        ("audio/pcm", AudioFormat(Encoding.PCM, 24_000)),
        ({"type": "audio/pcm"}, AudioFormat(Encoding.PCM, 24_000)),
        ({"type": "audio/pcm", "rate": 24_000}, AudioFormat(Encoding.PCM, 24_000)),
        ({"type": "audio/pcm", "rate": 8_000}, AudioFormat(Encoding.PCM, 8_000)),
        ({"type": "audio/pcm", "rate": 48_000.0}, AudioFormat(Encoding.PCM, 48_000)),
        ({"rate": 16_000}, AudioFormat(Encoding.PCM, 16_000)),
        ("g711_ulaw", AudioFormat(Encoding.ULAW, 8_000)),
        ({"type": "audio/pcmu"}, AudioFormat(Encoding.ULAW, 8_000)),
        ("g711_alaw", AudioFormat(Encoding.ALAW, 8_000)),
        ({"type": "audio/pcma", "rate": 24_000}, AudioFormat(Encoding.ALAW, 8_000)),
    ],
)
def test_audio_formats(given: object, expected: AudioFormat) -> None:
    assert changed(format=given).format == expected


def test_audio_is_decoded_to_pcm() -> None:
    assert AudioFormat().decode(b"ab") == b"ab"
    assert AudioFormat(Encoding.ULAW, 8_000).decode(b"\xff\x00") == b"\x00\x00\x84\x82"
    assert AudioFormat(Encoding.ALAW, 8_000).decode(b"\xd5") == b"\x08\x00"


# Turn detection.


def turns(session: RealtimeSession) -> tuple[TurnRules | None, float | None, float]:
    request = session.request(BASE)
    return request.endpointing, request.vad_threshold, request.vad_pad


def test_server_vad_ends_a_turn_after_its_silence() -> None:
    vad = {
        "type": "server_vad",
        "threshold": 0.6,
        "prefix_padding_ms": 500,
        "silence_duration_ms": 300,
    }
    rules, threshold, pad = turns(changed(turn_detection=vad))
    assert rules == TurnRules(min_silence=0.3, no_speech=10.0, longest=0)
    assert (threshold, pad) == (0.6, 0.5)
    assert changed(turn_detection=vad).padding == 0.5


@pytest.mark.parametrize(
    ("eagerness", "seconds"), [("low", 8.0), ("medium", 4.0), ("high", 2.0), ("auto", 4.0)]
)
def test_semantic_vad_ends_a_turn_by_the_end_of_turn_classifier(
    eagerness: str, seconds: float
) -> None:
    session = changed(turn_detection={"type": "semantic_vad", "eagerness": eagerness})
    rules, threshold, pad = turns(session)
    assert rules == TurnRules(auto=True, incomplete=seconds, no_speech=10.0, longest=0)
    assert (threshold, pad, session.padding) == (None, 0.0, 0.0)
    assert turns(changed(turn_detection={"type": "semantic_vad"}))[0] is not None


def test_without_turn_detection_only_the_client_ends_a_turn() -> None:
    rules, _, _ = turns(changed(turn_detection=None))
    assert rules == TurnRules()
    assert not rules.server_endpointing(None)


# The request.


def test_the_session_says_how_to_decode() -> None:
    assert FULL.request(BASE) == Request(
        language="de",
        candidate_languages=("de", "en"),
        model="base",
        hotwords=("Nanit", "Küche"),
        prompt="Kitchen.",
        token_logprobs=True,
        endpointing=TurnRules(min_silence=0.9, no_speech=10.0, longest=0),
        vad_threshold=0.7,
        vad_pad=0.1,
        partials="on",
        preprocess=("near_field",),
    )
    assert DEFAULT.request(BASE).preprocess is None


@pytest.mark.parametrize(
    ("delay", "partials"),
    [("minimal", "on"), ("low", "on"), ("medium", "auto"), ("high", "off"), ("xhigh", "off")],
)
def test_the_delay_decides_when_text_is_sent(delay: str, partials: str) -> None:
    assert changed(transcription={"delay": delay}).request(BASE).partials == partials


def test_a_language_that_the_model_does_not_support_is_refused() -> None:
    tiny = ServedModel("tiny.en", ENGLISH)
    for fields in ({"language": "de"}, {"languages": ["en", "de"]}):
        with pytest.raises(RealtimeError, match=r"tiny\.en does not support language 'de'") as e:
            changed(transcription=fields).request(tiny)
        assert (e.value.code, e.value.param) == (
            "unsupported_language",
            f"session.audio.input.transcription.{next(iter(fields))}",
        )
    assert changed(transcription={"language": "auto"}).request(tiny).language == "auto"


def test_text_from_the_client_is_cleaned() -> None:
    session = changed(
        transcription={"prompt": "a\ud800\n b\x00", "keywords": [" Nanit\n", "", "\u0007"]}
    )
    assert session.prompt == "a b"
    assert session.keywords == ("Nanit",)


# What is refused.

INPUT = "session.audio.input"


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"format": 7}, "format", "must be an object"),
        ({"format": "opus"}, "format.type", "'opus'"),
        ({"format": {"type": "audio/pcm", "rate": 7}}, "format.rate", "8000 to 48000"),
        ({"format": {"type": "audio/pcm", "rate": True}}, "format.rate", "whole number"),
        ({"format": {"type": "audio/pcm", "rate": "24000"}}, "format.rate", "whole number"),
        ({"transcription": "whisper-1"}, "transcription", "must be an object"),
        ({"transcription": {"language": 7}}, "transcription.language", "must be a string"),
        ({"transcription": {"language": "tlh"}}, "transcription.language", "'tlh'"),
        ({"transcription": {"languages": "de"}}, "transcription.languages", "a list of strings"),
        ({"transcription": {"languages": ["xx"]}}, "transcription.languages", "'xx'"),
        ({"transcription": {"keywords": ["x"] * 501}}, "transcription.keywords", "at most 500"),
        ({"transcription": {"keywords": ["x" * 101]}}, "transcription.keywords", "at most 100"),
        ({"transcription": {"prompt": "x" * 10_001}}, "transcription.prompt", "at most 10000"),
        (
            {"transcription": {"delay": "none"}},
            "transcription.delay",
            "minimal, low, medium, high or xhigh",
        ),
        ({"noise_reduction": "near_field"}, "noise_reduction", "must be an object"),
        (
            {"noise_reduction": {"type": "loud"}},
            "noise_reduction.type",
            "near_field or far_field",
        ),
        ({"turn_detection": {"type": "manual"}}, "turn_detection.type", "server_vad or semantic"),
        ({"turn_detection": {"type": None}}, "turn_detection.type", "server_vad or semantic"),
        ({"turn_detection": {"threshold": 1.5}}, "turn_detection.threshold", "0 to 1"),
        ({"turn_detection": {"threshold": float("nan")}}, "turn_detection.threshold", "0 to 1"),
        (
            {"turn_detection": {"silence_duration_ms": 0}},
            "turn_detection.silence_duration_ms",
            "1 to 60000",
        ),
        (
            {"turn_detection": {"prefix_padding_ms": -1}},
            "turn_detection.prefix_padding_ms",
            "0 to 5000",
        ),
        (
            {"turn_detection": {"type": "semantic_vad", "eagerness": "huge"}},
            "turn_detection.eagerness",
            "low, medium, high or auto",
        ),
    ],
)
def test_a_value_that_is_not_accepted_is_named(
    fields: dict[str, Any], param: str, says: str
) -> None:
    error = refused({"audio": {"input": fields}})
    assert error.param == f"{INPUT}.{param}"
    assert says in str(error)
    assert error.code == "invalid_value"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (None, "session"),
        ([], "session"),
        ({"type": "realtime"}, "session.type"),
        ({"audio": 7}, "session.audio"),
        ({"audio": {"input": []}}, None),
        ({"audio": {"input": "x"}}, "session.audio.input"),
        ({"include": "logprobs"}, "session.include"),
    ],
)
def test_a_session_of_another_shape_is_refused(given: object, param: str | None) -> None:
    if param is None:  # an empty list says as little as an empty object
        assert updated(FULL, given) == FULL
    else:
        assert refused(given).param == param
