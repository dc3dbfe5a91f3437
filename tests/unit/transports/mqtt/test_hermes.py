from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.records import RECORD
from wyoming_faster_whisper.engine.protocol import Transcript, Word
from wyoming_faster_whisper.errors import Busy, ProtocolError
from wyoming_faster_whisper.session.events import Answer, TimedSegment
from wyoming_faster_whisper.speech.endpointing import TurnRules
from wyoming_faster_whisper.transports.mqtt import hermes
from wyoming_faster_whisper.transports.mqtt.hermes import StartListening

SEGMENT = TimedSegment(0.5, 1.5, "Turn on", (1, 2), -0.5, 0.01)
ANSWER = Answer(Transcript("Turn on", "en"), (SEGMENT,), replace(RECORD, wait=0.12345))
START = StartListening("hall", "7", wakeword="porcupine")


def request(start: StartListening, rules: TurnRules | None = None, partials: str = "off") -> Any:
    return hermes.request_of(start, rules or TurnRules(), partials)


def test_a_start_without_fields_is_for_the_default_site() -> None:
    fields: dict[str, Any] = {}
    start = hermes.read_start(fields, hermes.read_site(fields, None))
    assert start == StartListening("default")


def test_null_counts_as_not_given() -> None:
    fields = dict.fromkeys(
        ("sessionId", "lang", "stopOnSilence", "sendAudioCaptured", "wakewordId", "intentFilter")
    )
    assert hermes.read_start(fields, "hall") == StartListening("hall")


def test_all_fields_of_a_start_are_read() -> None:
    fields = {
        "sessionId": "7",
        "lang": "de",
        "stopOnSilence": False,
        "sendAudioCaptured": True,
        "wakewordId": "porcupine",
        "intentFilter": ["TurnOn"],
        "sendPartials": True,
        "wordTimes": True,
    }
    assert hermes.read_start(fields, "hall") == StartListening(
        *("hall", "7", "de", False, True, "porcupine", ("TurnOn",), True, True)
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"sessionId": 7},
        {"sessionId": "a/b"},
        {"sessionId": "+"},
        {"lang": 1},
        {"lang": "x" * 1000},
        {"stopOnSilence": "yes"},
        {"stopOnSilence": 1},
        {"intentFilter": "TurnOn"},
        {"intentFilter": [1]},
        {"wakewordId": []},
    ],
)
def test_a_field_of_the_wrong_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        hermes.read_start(fields, "hall")


@pytest.mark.parametrize("site", ["", "#", "a/b", "../hall", "x" * 10_000, 5, None])
def test_a_site_id_that_cannot_be_one_is_refused(site: Any) -> None:
    if site is None:
        assert hermes.read_site({"siteId": None}, None) == "default"
        return
    with pytest.raises(ProtocolError, match="siteId"):
        hermes.read_site({"siteId": site}, None)


def test_the_site_of_the_topic_counts() -> None:
    assert hermes.read_site({}, "hall") == "hall"
    assert hermes.read_site({"siteId": "hall"}, "hall") == "hall"
    with pytest.raises(ProtocolError, match="differs"):
        hermes.read_site({"siteId": "kitchen"}, "hall")


def test_without_stop_on_silence_the_server_ends_no_turn() -> None:
    rules = TurnRules(auto=True, early_silence=2.0)
    given = request(replace(START, stop_on_silence=False), rules).endpointing
    assert not given.server_endpointing(None)
    assert given.endpointing(None).min_silence == 0


def test_with_stop_on_silence_the_server_ends_the_turn_even_if_it_ends_no_others() -> None:
    assert request(START, TurnRules()).endpointing.auto
    own = TurnRules(min_silence=0.7)
    assert request(START, own).endpointing == own


def test_the_names_of_intents_bias_the_text() -> None:
    start = replace(START, intents=("turnOnLight", "me:Set_Timer", "turnOnLight", "", "GetTime"))
    assert request(start).hotwords == ("turn on light", "set timer", "get time")


def test_partial_text_is_sent_only_if_asked_for() -> None:
    assert request(START, partials="on").partials == "off"
    asked = replace(START, partials=True)
    assert request(asked, partials="off").partials == "auto"
    assert request(asked, partials="on").partials == "on"


def test_the_text_is_returned_with_what_the_start_named() -> None:
    assert json.loads(hermes.text_captured(START, ANSWER)) == {
        "text": "Turn on",
        "likelihood": 0.6065,
        "seconds": 0.123,
        "siteId": "hall",
        "sessionId": "7",
        "wakewordId": "porcupine",
        "asrTokens": None,
        "lang": "en",
    }


def test_words_are_returned_with_their_place_in_the_text() -> None:
    words = (Word("Turn", 0.5, 0.8, 0.9), Word("on", 0.9, 1.4, 0.75))
    answer = replace(ANSWER, segments=(replace(SEGMENT, words=words),))
    tokens = json.loads(hermes.text_captured(replace(START, word_times=True), answer))[
        "asrTokens"
    ]
    assert tokens == [
        [
            {
                "value": "Turn",
                "confidence": 0.9,
                "rangeStart": 0,
                "rangeEnd": 4,
                "time": {"start": 0.5, "end": 0.8},
            },
            {
                "value": "on",
                "confidence": 0.75,
                "rangeStart": 5,
                "rangeEnd": 7,
                "time": {"start": 0.9, "end": 1.4},
            },
        ]
    ]


def test_a_word_that_the_style_changed_keeps_its_range_inside_the_text() -> None:
    words = (Word("Turn,", 0.5, 0.8, 0.9), Word("on.", 0.9, 1.4, 0.75))
    answer = replace(ANSWER, segments=(replace(SEGMENT, words=words),))
    [tokens] = json.loads(hermes.text_captured(replace(START, word_times=True), answer))[
        "asrTokens"
    ]
    assert all(0 <= each["rangeStart"] <= each["rangeEnd"] <= 7 for each in tokens)


def test_a_failure_is_an_empty_text_without_likelihood() -> None:
    fields = json.loads(hermes.no_text_captured(START))
    assert (fields["text"], fields["likelihood"], fields["sessionId"]) == ("", 0, "7")


def test_silence_has_no_likelihood() -> None:
    answer = Answer(Transcript("", "en"), (), replace(RECORD, wait=0.12345))
    assert json.loads(hermes.text_captured(START, answer))["likelihood"] == 0


def test_an_error_names_its_code() -> None:
    assert json.loads(hermes.error("hall", None, Busy("come later"))) == {
        "error": "come later",
        "siteId": "hall",
        "context": "busy",
        "sessionId": None,
    }


def test_a_lone_surrogate_in_a_text_does_not_prevent_the_answer() -> None:
    answer = replace(ANSWER, transcript=Transcript("\ud800 on", "en"))
    assert json.loads(hermes.text_captured(START, answer))["text"] == "? on"
