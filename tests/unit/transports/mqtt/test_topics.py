"""Topics: what a message is, where answers go, and which ids and prefixes are safe."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.errors import ProtocolError, SettingError
from wyoming_faster_whisper.transports.mqtt.topics import (
    LONGEST_ID,
    Incoming,
    Kind,
    Topics,
    check_id,
    check_prefix,
    valid_id,
)

TOPICS = Topics("home/speech")


@pytest.mark.parametrize(
    ("topic", "incoming"),
    [
        ("hermes/asr/startListening", Incoming(Kind.START)),
        ("hermes/asr/toggleOff", Incoming(Kind.TOGGLE_OFF)),
        ("hermes/audioServer/hall/audioFrame", Incoming(Kind.FRAME, "hall")),
        (
            "hermes/audioServer/hall/1/audioSessionFrame",
            Incoming(Kind.SESSION_FRAME, "hall", "1"),
        ),
        ("home/speech/hall/stopListening", Incoming(Kind.STOP, "hall", hermes=False)),
        ("home/speech/hall/audioFrame", Incoming(Kind.FRAME, "hall", hermes=False)),
        (
            "home/speech/hall/1/audioSessionFrame",
            Incoming(Kind.SESSION_FRAME, "hall", "1", hermes=False),
        ),
        ("home/speech/hall/status", Incoming(Kind.STATUS, "hall", hermes=False)),
    ],
)
def test_a_topic_says_what_a_message_is(topic: str, incoming: Incoming) -> None:
    assert TOPICS.read(topic) == incoming


@pytest.mark.parametrize(
    "topic",
    [
        *("hermes/asr/textCaptured", "hermes/asr/status", "hermes/asr/audioFrame"),
        *("hermes/asr", "home/speech", "home/speech/status", "home/speech/hall/event", ""),
        *("home/speech/hall/audioSessionFrame", "home/other/hall/startListening"),
        "hermes/audioServer/hall/1/2/audioSessionFrame",
    ],
)
def test_other_topics_are_ignored(topic: str) -> None:
    assert TOPICS.read(topic) is None


def test_what_the_server_subscribes_to_is_what_it_reads() -> None:
    own, hermes = (TOPICS.audio("hall", hermes=each) for each in (False, True))
    for one in (*TOPICS.controls, *own, *hermes):
        assert TOPICS.read(one.replace("+", "hall")) is not None


def test_answers_go_to_the_topics_on_which_the_session_was_started() -> None:
    for topic, name in (
        (TOPICS.text, "textCaptured"),
        (TOPICS.partial_text, "partialTextCaptured"),
        (TOPICS.error, "error"),
        (TOPICS.recording_started, "recordingStarted"),
        (TOPICS.recording_finished, "recordingFinished"),
    ):
        assert topic("hall", hermes=False) == f"home/speech/hall/{name}"
        assert topic("hall", hermes=True).startswith(("hermes/", "rhasspy/"))


def test_audio_without_a_session_is_returned_for_the_default_session() -> None:
    for session, level in (("1", "1"), (None, "default")):
        topic = TOPICS.audio_captured("hall", session, hermes=True)
        assert topic == f"rhasspy/asr/hall/{level}/audioCaptured"


@pytest.mark.parametrize("text", ["kitchen", "Büro", "living room", "a.b", "1", "x" * LONGEST_ID])
def test_an_id_is_a_level_of_a_topic(text: str) -> None:
    assert valid_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "+", "#", "a/b", "a+", "#b", "$SYS", "..", ".", "../hall"),
        *("a\0b", "a\nb", "\ud800"),
        "x" * (LONGEST_ID + 1),
    ],
)
def test_an_id_that_would_change_the_topic_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="siteId"):
        check_id(text, "siteId")


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a//b", "a/+", "#", "hermes/x", "$SYS/x"])
def test_a_prefix_that_cannot_be_one_is_refused(prefix: str) -> None:
    with pytest.raises(SettingError, match="--mqtt-prefix"):
        check_prefix(prefix)


def test_a_prefix_may_have_levels() -> None:
    check_prefix("home/speech")
