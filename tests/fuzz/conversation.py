"""Conversion of fuzzer input to bytes for the server: nearly valid events, or the raw input.

Mutation rarely produces lengths that match their content, so an input is either sent as it is or
selects the events to send.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from tests.support.serving import utterance
from wyoming_faster_whisper.testing import silence, tone
from wyoming_faster_whisper.transports.wyoming.framing import write_event

RAW = 0  # first byte of an input whose remaining bytes are sent unchanged

_MOST_EVENTS = 50
_TYPES = (
    *("transcribe", "audio-start", "audio-chunk", "audio-chunk", "audio-chunk", "audio-stop"),
    *("describe", "ping", "select-program", "voice-started", "", "transcript", "error"),
)
_KEYS = (
    *("rate", "width", "channels", "timestamp", "language", "name", "context", "text"),
    *("transcript_names", "transcript_terms", "vad_sensitivity"),
)
_VALUES: tuple[object, ...] = (
    *(16000, 2, 1, 8000, 4, 0, -1, 192000, 10**9, 10**30, 1.5, True, None),
    *("", "en", "de-DE", "auto", "tlh", "base", "relaxed", "\ud800", "x" * 300),
    *([], ["Küche"], [1], {}, {"a": [{"b": None}]}, [[[[]]]]),
)
_GOOD = {"rate": 16000, "width": 2, "channels": 1}

Item = TypeVar("Item")


class Choices:
    """Makes reproducible choices from the bytes of an input; reads 0 after its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def of(self, items: Sequence[Item]) -> Item:
        return items[self.byte() % len(items)]

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]


def conversation(data: bytes) -> bytes:
    """Return the bytes that the client sends for an input."""
    choices = Choices(data)
    if choices.byte() == RAW:
        return data[1:]
    frames: list[bytes] = []
    while choices.left and len(frames) < _MOST_EVENTS:
        frames.append(_frame(choices))
    return b"".join(frames)


def _frame(choices: Choices) -> bytes:
    kind = choices.of(_TYPES)
    how = choices.byte()
    data: dict[str, object] = dict(_GOOD) if kind.startswith("audio-") else {}
    for _ in range(how % 4):
        data[choices.of(_KEYS)] = choices.of(_VALUES)
    payload = b""
    if kind == "audio-chunk":
        # Loud or silent audio of even or odd length, then bytes of the input.
        payload = choices.of((b"\0", b"\x10\x30", b"\xff")) * (16 * choices.byte())
        payload += choices.take(how // 64)
    header: dict[str, object] = {"type": kind, "payload_length": len(payload)}
    extra = json.dumps(data).encode()
    if how & 16:
        header["data_length"] = len(extra)
    else:
        header["data"], extra = data, b""
    return json.dumps(header).encode() + b"\n" + extra + payload


def seeds() -> dict[str, bytes]:
    """Return the inputs with which fuzzing starts, by name."""
    spoken = b"".join(map(write_event, utterance(tone(0.2), language="en")))
    quiet = b"".join(map(write_event, utterance(silence(0.1))))
    plain = {
        "utterance": spoken,
        "two": spoken + quiet,
        "cut-off": spoken[: len(spoken) // 2],
        "questions": b'{"type": "describe"}\n{"type": "ping", "data": {"text": "a"}}\n',
        "stop": b'{"type": "audio-stop"}\n',
        "length": b'{"type": "audio-chunk", "payload_length": 900000000000}\n',
        "nonsense": b"GET / HTTP/1.1\r\n\r\n",
    }
    told = bytes([1, 0, 0, 1, 0, 2, 0, 1, 60, 2, 0, 1, 60, 5, 0, 6, 0, 7, 1, 7, 14])
    return {name: bytes([RAW]) + sent for name, sent in plain.items()} | {"told": told}
