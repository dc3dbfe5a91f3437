"""Fuzz test: a FrameReader raises only ProtocolError, for any input."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wyoming_faster_whisper.errors import ProtocolError
from wyoming_faster_whisper.transports.wyoming.framing import FrameReader, write_event

from .test_framing import EVENTS, by_library, read_all


def survives(*pieces: bytes) -> None:
    """Assert that events read before a ProtocolError survive writing and reading."""
    reader = FrameReader()
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                event = reader.next_event()
            except ProtocolError:
                return
            if event is None:
                break
            assert isinstance(event.type, str)
            assert isinstance(event.data, dict)
            assert len(read_all(write_event(event))) == 1


FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("ping") | JSON,
        "data": st.dictionaries(st.text(max_size=5), JSON, max_size=3) | JSON,
        "data_length": st.integers(-2, 40) | JSON,
        "payload_length": st.integers(-2, 40) | JSON,
    },
)


@FUZZ
@given(st.lists(st.binary(max_size=80), max_size=5))
def test_random_bytes_do_no_harm(pieces: list[bytes]) -> None:
    survives(*pieces)


@FUZZ
@given(HEADERS, st.binary(max_size=80))
@example({"type": "a", "data_length": 2}, b"{}")
def test_random_headers_do_no_harm(header: dict[str, object], rest: bytes) -> None:
    survives(json.dumps(header).encode() + b"\n" + rest)


@FUZZ
@given(
    st.integers(0, len(by_library(*EVENTS)) - 1),
    st.integers(0, 12),
    st.binary(max_size=12),
    st.integers(0, len(by_library(*EVENTS))),
)
def test_mutated_frames_do_no_harm(at: int, removed: int, put: bytes, cut: int) -> None:
    data = by_library(*EVENTS)
    data = data[:at] + put + data[at + removed :]
    survives(data[:cut], data[cut:])
