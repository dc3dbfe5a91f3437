from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from wyoming_faster_whisper.engine.protocol import Transcript
from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.transports.mqtt import home_assistant
from wyoming_faster_whisper.transports.mqtt.home_assistant import Discovery, identifier
from wyoming_faster_whisper.transports.mqtt.topics import Topics

from .test_hermes import ANSWER

DISCOVERY = Discovery("homeassistant", Topics("home/speech"))
# Home Assistant: components/mqtt/discovery.py, TOPIC_MATCHER.
TOPIC = re.compile(r"homeassistant/\w+/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")


@pytest.mark.parametrize("site", ["hall", "living room", "Büro", "a.b-c_d"])
def test_home_assistant_accepts_the_topics_of_discovery(site: str) -> None:
    for topic, _ in (DISCOVERY.connectivity(), DISCOVERY.site(site)):
        assert TOPIC.fullmatch(topic), topic


def test_an_event_entity_names_its_topics() -> None:
    config = json.loads(DISCOVERY.site("hall")[1])
    assert config["state_topic"] == "home/speech/hall/event"
    assert config["availability_topic"] == "home/speech/status"
    assert config["origin"]["name"]


def test_entities_of_different_sites_have_different_ids() -> None:
    ids = {
        json.loads(DISCOVERY.site(site)[1])["unique_id"]
        for site in ("a b", "a.b", "a_b", "a-b", "A b")
    }
    assert len(ids) == 5
    assert identifier("a_b") == "a_b"


def test_an_event_has_text_language_seconds_and_probabilities() -> None:
    event = json.loads(home_assistant.answered("7", ANSWER))
    assert event == {
        "event_type": "transcript",
        "text": "Turn on",
        "language": "en",
        "language_probability": 1.0,
        "likelihood": 0.6065,
        "no_speech_probability": 0.01,
        "seconds": 2.5,
        "session_id": "7",
    }


def test_silence_and_errors_are_events_of_their_own_type() -> None:
    silent = replace(ANSWER, transcript=Transcript("", "en"), segments=())
    assert json.loads(home_assistant.answered(None, silent))["event_type"] == "no_speech"
    failed = json.loads(home_assistant.failed(None, Busy("later")))
    assert (failed["event_type"], failed["code"]) == ("error", "busy")
    types = json.loads(DISCOVERY.site("hall")[1])["event_types"]
    assert {"no_speech", "error", "transcript"} == set(types)
