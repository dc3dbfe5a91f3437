"""Messages of a realtime client: what is read, and what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.transports.http.realtime.client_messages import (
    APPEND,
    COMMIT,
    Message,
    RealtimeError,
    decode_audio,
    read_message,
)


def refused(text: str) -> RealtimeError:
    with pytest.raises(RealtimeError) as error:
        read_message(text)
    return error.value


def audio(value: object) -> bytes:
    message = Message(APPEND, "event_7", {"audio": value}, 0)
    return b"".join(decode_audio(message))


@pytest.mark.parametrize(
    "kind",
    [
        "session.update",
        "transcription_session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
    ],
)
def test_the_messages_of_a_transcription_session_are_read(kind: str) -> None:
    message = read_message(json.dumps({"type": kind, "event_id": "a", "x": 1}))
    assert (message.type, message.event_id, message.body["x"]) == (kind, "a", 1)


@pytest.mark.parametrize(
    "text",
    ["", "junk", "[]", "7", "null", '"append"', "{", "[" * 100_000, '{"a":' * 50_000, "1" * 9999],
)
def test_a_message_that_is_not_a_json_object_is_refused(text: str) -> None:
    assert refused(text).code == "invalid_json"


@pytest.mark.parametrize(
    "kind",
    ["response.create", "conversation.item.create", "conversation.item.retrieve"],
)
def test_a_message_of_a_spoken_conversation_is_refused_by_name(kind: str) -> None:
    error = refused(json.dumps({"type": kind, "event_id": "mine"}))
    assert (error.code, error.param, error.event_id) == ("unsupported_event", "type", "mine")
    assert "only transcribes" in str(error)


@pytest.mark.parametrize("kind", [None, 7, "", "session.create", ["session.update"], {}])
def test_an_unknown_type_is_refused_with_the_types_there_are(kind: object) -> None:
    error = refused(json.dumps({"type": kind}))
    assert (error.code, error.param) == ("invalid_value", "type")
    assert "input_audio_buffer.append" in str(error)


@pytest.mark.parametrize("identity", [7, [], "x" * 513])
def test_an_event_id_of_another_kind_is_refused(identity: object) -> None:
    error = refused(json.dumps({"type": COMMIT, "event_id": identity}))
    assert (error.param, error.event_id) == ("event_id", None)


def test_a_large_message_of_many_small_values_is_refused_unread() -> None:
    bomb = json.dumps({"type": COMMIT, "x": [{}] * 100_000})
    assert "more than 5000 values" in str(refused(bomb))
    long = json.dumps({"type": APPEND, "audio": "A" * 8_000_000})
    assert read_message(long).type == APPEND


@given(st.binary(max_size=1000))
def test_audio_comes_back_as_it_was_encoded(data: bytes) -> None:
    assert audio(base64.b64encode(data).decode()) == data


def test_long_audio_is_decoded_in_pieces() -> None:
    data = bytes(range(256)) * 4000
    message = Message(APPEND, None, {"audio": base64.b64encode(data).decode()}, 0)
    pieces = list(decode_audio(message))
    assert len(pieces) == 6
    assert b"".join(pieces) == data


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        "A",
        "AAA",
        "====",
        "AA==AA==",
        "AAAA AAAA",
        "AAAA\n",
        "Ä" * 4,
        "a_-b",
        "\ud800aaa",
        "AA==" + "A" * 1_000_000,
    ],
)
def test_audio_that_is_not_base64_is_refused(value: Any) -> None:
    with pytest.raises(RealtimeError) as error:
        audio(value)
    assert (error.value.code, error.value.param) == ("invalid_value", "audio")
    assert error.value.event_id == "event_7"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_message(text)
        audio(text)
    except RealtimeError:
        pass
