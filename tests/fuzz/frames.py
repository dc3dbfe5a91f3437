"""Fuzz target for framing: any bytes, split anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wyoming.event import Event

from tests.fuzz.conversation import conversation
from wyoming_faster_whisper.errors import ProtocolError
from wyoming_faster_whisper.transports.wyoming.framing import (
    FrameLimits,
    FrameReader,
    write_event,
)

# Small, so that inputs of a few kilobytes reach them.
LIMITS = FrameLimits(header=512, data=512, payload=2048, audio=8192)


def read(pieces: Iterator[bytes], *, together: int = 0) -> tuple[list[Event], bool]:
    """Return the events read, and whether reading ended with a ProtocolError.

    Args:
        together: bytes of frames alike that are read together.
    """
    reader, events = FrameReader(LIMITS), []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next_event()) is not None:
                events.append(event)
                alike = reader.next_alike(together)
                events += [Event(event.type, event.data, payload) for payload in alike]
    except ProtocolError:
        return events, True
    return events, False


def try_one(data: bytes) -> None:
    """Assert that only ProtocolError is raised, and that splitting the bytes changes nothing."""
    sent = conversation(data)
    size = 1 + len(sent) // (1 + len(data) % 64)  # at most 64 pieces
    whole = read(iter([sent]))
    pieces = read(sent[at : at + size] for at in range(0, len(sent), size))
    assert pieces == whole, (pieces, whole)
    together = read(iter([sent]), together=1 + len(data) % 500)
    assert together == whole, (together, whole)
    for event in whole[0]:
        assert len(event.payload or b"") <= LIMITS.payload
        written = write_event(event)
        again = FrameReader()
        again.feed(written)
        copy = again.next_event()
        assert copy is not None
        assert not again.mid_frame
        # Compare the bytes rather than the events: a lone surrogate is written as "?".
        assert write_event(copy) == written


def start() -> Callable[[bytes], None]:
    return try_one
