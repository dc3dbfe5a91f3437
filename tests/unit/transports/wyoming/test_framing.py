"""Framing: compatible with the wyoming library; malformed frames are refused."""

from __future__ import annotations

import asyncio
import io
import json
import tracemalloc

import numpy as np
import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, async_read_event, async_write_event, read_event
from wyoming.event import write_event as library_writes
from wyoming.info import Describe
from wyoming.ping import Ping

from wyoming_faster_whisper.errors import ProtocolError
from wyoming_faster_whisper.transports.wyoming.framing import (
    FrameLimits,
    FrameReader,
    write_event,
)

EVENTS = [
    Describe().event(),
    Transcribe(language="de", context={"küche": "☕"}).event(),
    AudioStart(rate=16000, width=2, channels=1).event(),
    AudioChunk(rate=16000, width=2, channels=1, audio=b"\n{}\x00\xff" * 4).event(),
    AudioChunk(rate=16000, width=2, channels=1, audio=b"").event(),
    AudioStop().event(),
    Transcript("Schalte das Licht in der Küche ein.").event(),
]


def by_library(*events: Event) -> bytes:
    stream = io.BytesIO()
    for event in events:
        library_writes(event, stream)
    return stream.getvalue()


def read_all(*pieces: bytes, limits: FrameLimits | None = None) -> list[Event]:
    reader = FrameReader(limits)
    events = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
    return events


def fault(data: bytes, limits: FrameLimits | None = None) -> str:
    with pytest.raises(ProtocolError) as caught:
        read_all(data, limits=limits)
    return str(caught.value)


def alike(events: list[Event]) -> list[tuple[str, object, bytes]]:
    """Make events comparable: a missing and an empty payload are the same on the wire."""
    return [(event.type, event.data, event.payload or b"") for event in events]


# Compatibility with the library.


def test_frames_of_the_library_are_read_wherever_they_are_split() -> None:
    data = by_library(*EVENTS)
    for cut in range(len(data) + 1):
        assert alike(read_all(data[:cut], data[cut:])) == alike(EVENTS)


def test_frames_sent_in_single_bytes_are_read() -> None:
    data = by_library(*EVENTS)
    assert alike(read_all(*(data[at : at + 1] for at in range(len(data))))) == alike(EVENTS)


class Sink:
    """The part of a StreamWriter that the library's async_write_event() needs."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def writelines(self, lines: tuple[bytes, ...]) -> None:
        self.data += b"".join(lines)

    async def drain(self) -> None:
        pass


async def test_frames_that_the_library_writes_to_a_socket_are_read() -> None:
    sink = Sink()
    for event in EVENTS:
        await async_write_event(event, sink)  # type: ignore[arg-type]
    assert alike(read_all(sink.data)) == alike(EVENTS)


def test_the_library_reads_our_frames() -> None:
    stream = io.BytesIO(b"".join(write_event(event) for event in EVENTS))
    read = [read_event(stream) for _ in EVENTS]
    assert alike([event for event in read if event]) == alike(EVENTS)
    assert stream.read() == b""


async def test_the_library_reads_our_frames_from_a_socket() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(write_event(event) for event in EVENTS))
    reader.feed_eof()
    read = [await async_read_event(reader) for _ in EVENTS]
    assert alike([event for event in read if event]) == alike(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_our_frames_equal_those_of_the_library(event: Event) -> None:
    assert write_event(event) == by_library(event)


# Frames that we accept and the library does not write.


def test_the_health_check_of_the_add_on_is_a_valid_frame() -> None:
    assert alike(read_all(b'{ "type": "describe" }\n')) == [("describe", {}, b"")]


def test_data_after_the_header_overrides_data_in_it() -> None:
    header = b'{"type": "ping", "data": {"text": "in", "more": 1}, "data_length": 17}\n'
    assert read_all(header + b'{"text": "after"}')[0].data == {"text": "after", "more": 1}


def test_a_header_may_end_with_crlf() -> None:
    assert [event.type for event in read_all(b'{"type": "describe"}\r\n')] == ["describe"]


@pytest.mark.parametrize("key", ["data", "data_length", "payload_length"])
def test_null_means_absent(key: str) -> None:
    frame = json.dumps({"type": "describe", key: None}).encode() + b"\n"
    assert alike(read_all(frame)) == [("describe", {}, b"")]


def test_null_data_in_the_header_can_be_followed_by_data() -> None:
    frame = b'{"type": "ping", "data": null, "data_length": 13}\n{"text": "a"}'
    assert read_all(frame)[0].data == {"text": "a"}


@pytest.mark.parametrize("key", ["data_length", "payload_length"])
def test_a_length_of_zero_means_absent(key: str) -> None:
    frame = json.dumps({"type": "describe", key: 0}).encode() + b"\n"
    assert alike(read_all(frame)) == [("describe", {}, b"")]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_nan_and_infinity_are_refused(value: str) -> None:
    """JSON does not allow these numbers; Python's parser does."""
    line = f'{{"type": "audio-stop", "data": {{"timestamp": {value}}}}}\n'
    assert fault(line.encode()) == "header is not JSON"
    data = f'{{"timestamp": {value}}}'
    line = f'{{"type": "audio-stop", "data_length": {len(data)}}}\n{data}'
    assert fault(line.encode()) == "data is not JSON"


def nested(depth: int) -> bytes:
    """Return lists nested in an object, with that total depth."""
    return b'{"a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_data_may_be_nested_down_to_the_limit() -> None:
    for depth, deep in ((32, False), (33, True), (900, True), (9_000, True)):
        frame = b'{"type": "a", "data_length": %d}\n' % len(nested(depth)) + nested(depth)
        if deep:
            assert fault(frame) == "data is nested deeper than 32 levels"
        else:
            assert len(read_all(frame)) == 1


def test_brackets_in_a_string_do_not_count_as_nesting() -> None:
    assert len(read_all(b'{"type": "a", "data": {"text": "' + b"[{" * 100 + b'"}}\n')) == 1


def test_a_lone_surrogate_is_written_as_a_question_mark() -> None:
    ping = Ping.from_event(read_all(b'{"type": "ping", "data": {"text": "a\\ud800b"}}\n')[0])
    assert ping.text == "a\ud800b"
    answer = read_event(io.BytesIO(write_event(ping.event())))
    assert answer is not None
    assert answer.data == {"text": "a?b"}


def test_a_lone_surrogate_in_the_type_can_be_written() -> None:
    assert write_event(Event("a\udfff")).startswith(b'{"type": "a?"')


def test_a_frame_is_in_progress_until_its_last_byte() -> None:
    data = by_library(EVENTS[3])
    reader = FrameReader()
    assert not reader.mid_frame
    for at in range(len(data)):
        reader.feed(data[at : at + 1])
        event = reader.next_event()
        assert reader.mid_frame == (event is None)
    assert event is not None


# Refused frames.

WRONG = {
    b"[1,2]": "header must be a JSON object",
    b"5": "header must be a JSON object",
    b"null": "header must be a JSON object",
    b"{}": "header has no type; it must be a string",
    b'{"type": 5}': "header has no type; it must be a string",
    b'{"type": null}': "header has no type; it must be a string",
    b"": "header is not JSON",
    b"hello": "header is not JSON",
    b'{"type": "ping"': "header is not JSON",
    b'{"type": "p\xffng"}': "header is not JSON",
    b"[" * 20: "header is not JSON",
    b'{"type": "a", "data": ' + b"[" * 40 + b"]" * 40 + b"}": (
        "header is nested deeper than 32 levels"
    ),
    b'{"type": "a", "data": ' + b"[" * 8_000 + b"]" * 8_000 + b"}": (
        "header is nested deeper than 32 levels"
    ),
    b'{"type": "a", "payload_length": ' + b"9" * 5_000 + b"}": "header is not JSON",
    b'{"type": "a", "data": [1]}': "data in the header must be a JSON object",
    b'{"type": "a", "data": "b"}': "data in the header must be a JSON object",
}


@pytest.mark.parametrize("line", WRONG, ids=lambda line: repr(line[:30]))
def test_a_malformed_header_is_refused(line: bytes) -> None:
    assert fault(line + b"\n") == WRONG[line]


@pytest.mark.parametrize("key", ["data_length", "payload_length"])
@pytest.mark.parametrize(
    "value", ['"5"', "2.5", "5.0", "true", "false", "-1", "[5]", "{}", "1e3"]
)
def test_a_length_that_is_not_a_whole_number_is_refused(key: str, value: str) -> None:
    line = f'{{"type": "a", "{key}": {value}}}\n'.encode()
    assert fault(line).startswith(f"{key} must be a whole number from 0 to ")


def test_a_length_over_the_limit_is_refused_before_its_bytes_arrive() -> None:
    assert fault(b'{"type": "a", "payload_length": 900000000000}\n') == (
        "payload_length is 900000000000 bytes; the limit is 1048576"
    )
    assert fault(b'{"type": "a", "data_length": 262145}\n') == (
        "data_length is 262145 bytes; the limit is 262144"
    )


def test_a_length_of_thousands_of_digits_gives_a_short_error() -> None:
    line = b'{"type": "a", "payload_length": ' + b"9" * 4_000 + b"}\n"
    assert fault(line) == f"payload_length is {'9' * 20}... bytes; the limit is 1048576"


def test_the_default_limits_are_those_of_the_documentation() -> None:
    assert fault(b"x" * 16_385).startswith("header is over 16384 bytes")
    line = b'{"type": "audio-chunk", "payload_length": 268435457}\n'
    assert fault(line) == "payload_length is 268435457 bytes; the limit is 268435456"


def test_an_empty_line_after_a_frame_is_refused() -> None:
    reader = FrameReader()
    reader.feed(by_library(EVENTS[0]) + b"\n")
    assert reader.next_event() == EVENTS[0]
    with pytest.raises(ProtocolError, match="header is not JSON"):
        reader.next_event()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"[1, 2]", "data must be a JSON object"),
        (b'{"a": ]', "data is not JSON"),
        (b"\xff\xfe\x00", "data is not JSON"),
        (b"[" * 20, "data is not JSON"),
    ],
    ids=["list", "no JSON", "no UTF-8", "no end"],
)
def test_malformed_data_is_refused(data: bytes, sentence: str) -> None:
    assert fault(b'{"type": "a", "data_length": %d}\n%s' % (len(data), data)) == sentence


def test_an_http_request_is_refused() -> None:
    assert fault(b"GET / HTTP/1.1\r\nHost: stt\r\n\r\n") == "header is not JSON but HTTP"


def test_an_http_response_is_a_protocol_error() -> None:
    assert fault(b"HTTP/1.1 400 Bad Request\r\n\r\n") == "header is not JSON but HTTP"


def test_complete_frames_before_a_malformed_one_are_read() -> None:
    reader = FrameReader()
    reader.feed(by_library(EVENTS[0]) + b"garbage\n")
    assert reader.next_event() == EVENTS[0]
    with pytest.raises(ProtocolError):
        reader.next_event()


@pytest.mark.parametrize("line", [b"[" * 9_000, b'{"a":' * 3_000], ids=["lists", "objects"])
def test_unclosed_brackets_are_refused(line: bytes) -> None:
    assert fault(line + b"\n").startswith("header is n")  # the rest depends on Python


# Limits.

SMALL = FrameLimits(header=64, data=16, payload=8)


def test_a_header_may_be_as_long_as_the_limit() -> None:
    line = b'{"type": "describe"}'
    assert len(read_all(line.ljust(64) + b"\n", limits=SMALL)) == 1
    assert fault(line.ljust(65) + b"\n", SMALL) == (
        "header is over 64 bytes; a Wyoming event starts with one line of JSON"
    )


def test_a_header_without_an_end_is_refused_at_the_limit() -> None:
    assert read_all(b"x" * 64, limits=SMALL) == []
    assert fault(b"x" * 65, SMALL).startswith("header is over 64 bytes")


def test_data_and_payload_may_be_as_long_as_their_limits_but_no_longer() -> None:
    frame = b'{"type": "a", "data_length": 16, "payload_length": 8}\n' + b'{"text": "12345"}'[:16]
    frame = frame[:-2] + b'"}' + b"12345678"
    assert alike(read_all(frame, limits=SMALL)) == [("a", {"text": "1234"}, b"12345678")]
    for key, limit in (("data_length", 16), ("payload_length", 8)):
        line = f'{{"type": "a", "{key}": {limit + 1}}}\n'.encode()
        assert fault(line, SMALL) == f"{key} is {limit + 1} bytes; the limit is {limit}"


def test_a_long_audio_chunk_is_split_into_pieces_of_64_kib() -> None:
    audio = np.random.default_rng(1).bytes(1024 * 1024 + 1000)
    frame = by_library(AudioChunk(44100, 4, 2, audio).event(), Describe().event())
    for size in (len(frame), 100_000, 777):
        events = read_all(*(frame[at : at + size] for at in range(0, len(frame), size)))
        *chunks, last = events
        assert last.type == "describe"
        assert {event.type for event in chunks} == {"audio-chunk"}
        assert all(AudioChunk.from_event(event).rate == 44100 for event in chunks)
        sizes = [len(event.payload or b"") for event in chunks]
        assert sizes == [64 * 1024] * 16 + [1000]
        assert b"".join(event.payload or b"" for event in chunks) == audio


def test_an_audio_chunk_up_to_the_general_payload_limit_is_not_split() -> None:
    audio = bytes(1024 * 1024)
    [event] = read_all(by_library(AudioChunk(16000, 2, 1, audio).event()))
    assert event.payload == audio


def test_only_audio_may_be_longer_than_other_payloads() -> None:
    limits = FrameLimits(payload=8, audio=20)
    for kind, limit in (("audio-chunk", 20), ("audio-start", 8), ("pong", 8)):
        line = f'{{"type": "{kind}", "payload_length": {limit + 1}}}\n'.encode()
        assert fault(line, limits) == f"payload_length is {limit + 1} bytes; the limit is {limit}"
    frame = b'{"type": "audio-chunk", "payload_length": 20}\n12345678123456781234'
    payloads = [event.payload for event in read_all(frame, limits=limits)]
    assert payloads == [b"12345678", b"12345678", b"1234"]


def test_a_long_audio_chunk_is_in_progress_until_its_last_byte() -> None:
    frame = by_library(AudioChunk(16000, 2, 1, bytes(2 * 1024 * 1024)).event())
    reader = FrameReader()
    reader.feed(frame[: -64 * 1024])
    while reader.next_event() is not None:
        pass
    assert reader.mid_frame  # although no byte is left of what has arrived
    reader.feed(frame[-64 * 1024 :])
    assert reader.next_event() is not None
    assert not reader.mid_frame


def test_only_one_piece_of_a_long_audio_chunk_is_kept_in_memory() -> None:
    """This holds for clients that send all of the announced payload and for those that do not."""
    announced = 256 * 1024 * 1024
    header = b'{"type": "audio-chunk", "payload_length": %d}\n' % announced
    readers = [FrameReader() for _ in range(20)]
    read = bytes(64 * 1024)
    tracemalloc.start()
    try:
        for reader in readers:
            reader.feed(header)
            for _ in range(64):
                reader.feed(read)
                while reader.next_event() is not None:
                    pass
            reader.feed(read[:-1])
            assert reader.next_event() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(readers) * 2 * len(read)


@pytest.mark.parametrize(
    "data", [b"[" + b"[]," * 7_000 + b"[]]", b"[" * 5_000 + b"1," * 5_001], ids=["flat", "deep"]
)
def test_too_many_json_values_are_refused(data: bytes) -> None:
    count = len(data) - len(data.replace(b"[", b"").replace(b",", b""))
    assert count > 10_000
    frame = b'{"type": "a", "data_length": %d}\n%s' % (len(data), data)
    assert fault(frame) == f"data has {count} brackets and commas; the limit is 10000"


def test_brackets_and_commas_are_accepted_up_to_the_limit() -> None:
    few = FrameLimits(values=3)
    assert len(read_all(b'{"type": "a", "data": {}}\n', limits=few)) == 1
    assert fault(b'{"type": "a", "data": {"b": 1, "c": 2}}\n', few) == (
        "header has 4 brackets and commas; the limit is 3"
    )


def test_a_thousand_names_are_read() -> None:
    names = {"transcript_names": ["Lamp [left], kitchen"] * 1_000}
    assert read_all(write_event(Event("transcribe", names)))[0].data == names


def test_a_long_line_fed_in_small_pieces_is_searched_only_once() -> None:
    """Searching again for each of 16 KiB single bytes would scan 134 million bytes."""
    reader = FrameReader()
    for _ in range(FrameLimits().header):
        reader.feed(b"x")
        assert reader.next_event() is None
        assert reader._searched == len(reader._buffer)


def test_memory_use_does_not_grow_with_the_number_of_frames() -> None:
    frame = by_library(AudioChunk(16000, 2, 1, bytes(64 * 1024)).event())
    reader = FrameReader()
    tracemalloc.start()
    try:
        for _ in range(200):  # 13 MB
            reader.feed(frame)
            assert reader.next_event() is not None
            assert reader.next_event() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024
    assert not reader.mid_frame
