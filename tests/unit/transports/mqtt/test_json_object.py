from __future__ import annotations

import pytest

from wyoming_faster_whisper.errors import ProtocolError
from wyoming_faster_whisper.transports.mqtt.json_object import read_object

LIMIT = 1000


def test_an_object_is_read() -> None:
    assert read_object('{"siteId": "Küche", "x": null}'.encode(), LIMIT) == {
        "siteId": "Küche",
        "x": None,
    }


def test_an_empty_payload_has_no_fields() -> None:
    assert read_object(b"", LIMIT) == {}


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"garbage", "not JSON"),
        (b'{"a": }', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate key 'b'"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b"[" * 990, "not JSON"),
        (b'{"a": "' + b"x" * LIMIT + b'"}', "the limit is 1000"),
        (b"9" * 990 + b"", "not"),
    ],
)
def test_anything_else_is_refused(payload: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        read_object(payload, LIMIT)


def test_a_deep_object_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not"):
        read_object(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 10_000_000)
