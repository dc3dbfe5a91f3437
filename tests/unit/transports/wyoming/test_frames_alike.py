"""Frames that repeat the header of the last event are read together with it."""

from __future__ import annotations

import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event

from wyoming_faster_whisper.transports.wyoming.framing import FrameLimits, FrameReader

from .test_framing import alike, by_library, read_all


def microphone(*, chunks: int) -> bytes:
    """Return chunks of a microphone, each with another payload, between a start and a stop."""
    rate = {"rate": 16000, "width": 2, "channels": 1}
    sent = [AudioChunk(**rate, audio=bytes([at]) * 32).event() for at in range(chunks)]
    return by_library(AudioStart(**rate).event(), *sent, AudioStop().event())


def read_together(*pieces: bytes) -> list[Event]:
    """Read events, and with each of them those that are alike."""
    reader = FrameReader()
    events: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
            payloads = reader.next_alike(1000)
            events += [Event(event.type, event.data, payload) for payload in payloads]
    return events


def test_chunks_read_together_are_the_same_wherever_they_are_split() -> None:
    data = microphone(chunks=5)
    for cut in range(len(data) + 1):
        assert read_together(data[:cut], data[cut:]) == read_all(data)


@pytest.mark.parametrize(("most", "together"), [(0, 0), (31, 0), (32, 1), (127, 3), (1000, 4)])
def test_no_more_bytes_are_read_together_than_asked_for(most: int, together: int) -> None:
    reader = FrameReader()
    reader.feed(microphone(chunks=5))
    events = [reader.next_event(), reader.next_event()]
    assert [event.type for event in events if event] == ["audio-start", "audio-chunk"]
    assert len(reader.next_alike(most)) == together


def test_the_last_frame_that_has_arrived_is_read_together_with_those_before() -> None:
    chunk = AudioChunk(rate=16000, width=2, channels=1, audio=bytes(4)).event()
    reader = FrameReader()
    reader.feed(by_library(chunk, chunk, chunk))
    assert reader.next_event() == chunk
    assert reader.next_alike(1000) == [bytes(4), bytes(4)]
    assert not reader.mid_frame


def test_a_frame_with_another_header_ends_those_that_are_read_together() -> None:
    mono = AudioChunk(rate=16000, width=2, channels=1, audio=bytes(4)).event()
    stereo = AudioChunk(rate=16000, width=2, channels=2, audio=bytes(4)).event()
    sent = [mono, mono, stereo, mono]
    assert read_together(by_library(*sent)) == sent


@pytest.mark.parametrize(
    "other",
    [
        AudioChunk(rate=16000, width=2, channels=2, audio=bytes(4)).event(),
        AudioChunk(rate=16000, width=2, channels=1, audio=bytes(4), timestamp=5).event(),
        AudioChunk(rate=16000, width=2, channels=1, audio=bytes(2)).event(),
        AudioChunk(rate=16000, width=2, channels=1, audio=b"").event(),
        AudioStop().event(),
    ],
)
def test_frames_with_another_header_are_not_read_together(other: Event) -> None:
    chunk = AudioChunk(rate=16000, width=2, channels=1, audio=bytes(4)).event()
    for first, second in ((chunk, other), (other, chunk)):
        reader = FrameReader()
        reader.feed(by_library(first, second))
        assert reader.next_event() is not None
        assert reader.next_alike(1000) == []
        assert alike([event for event in [reader.next_event()] if event]) == alike([second])


def test_pieces_of_a_long_chunk_are_not_read_together() -> None:
    reader = FrameReader(FrameLimits(payload=8))
    chunk = AudioChunk(rate=16000, width=2, channels=1, audio=bytes(16)).event()
    reader.feed(by_library(chunk, chunk))
    for _ in range(4):
        event = reader.next_event()
        assert event is not None
        assert event.payload == bytes(8)
        assert reader.next_alike(1000) == []
