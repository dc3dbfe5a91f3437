"""Framing of the Wyoming protocol: parses bytes into events and serialises events. No I/O.

    {"type": ..., "data": {...}, "data_length": n, "payload_length": n}\\n
    <data_length bytes of JSON, merged over "data"><payload_length bytes>

The wyoming library's own reader trusts every length a peer sends. This one checks every value
before use, and holds at most one frame in memory. Of a long audio-chunk it holds only a piece.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from wyoming import __version__ as WYOMING_VERSION
from wyoming.audio import AudioChunk
from wyoming.event import Event

from ...errors import ProtocolError, printable

_DEPTH = 32  # maximum nesting of JSON objects and lists
# First line of an HTTP request or response: its sender has the wrong port.
_HTTP = re.compile(rb"[A-Z]{1,10} \S{1,1000} HTTP/1\.|HTTP/1\.")
_PIECE = 64 * 1024  # bytes of payload per event when a long audio-chunk is split


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """Maximum sizes of the parts of one frame, in bytes, except `values`.

    A header from the wyoming library has about 100 bytes. Audio comes in chunks of 320 bytes
    (Home Assistant) to some 64 KiB. Hotwords can make the data long. Brackets and commas are
    limited because they determine the parsing time: 256 KiB of nothing else take 0.2 s, 10,000
    of them 5 ms at most.
    """

    header: int = 16 * 1024
    data: int = 256 * 1024
    payload: int = 1024 * 1024
    audio: int = 256 * 1024 * 1024  # payload of an audio-chunk: 10 min of 48 kHz, 32 bit, stereo
    values: int = 10_000  # number of brackets and commas in a header, and in data


class FrameReader:
    """Parser that splits a byte stream into events.

    Call feed() with the bytes that arrived, then next_event() until it returns None. After a
    ProtocolError the frame boundaries are lost, so the connection must be closed.

    An audio-chunk whose payload exceeds FrameLimits.payload is split into several audio-chunks,
    each returned as soon as it has arrived. Such a payload is never held as a whole.
    """

    def __init__(self, limits: FrameLimits | None = None) -> None:
        self._limits = limits or FrameLimits()
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to have no newline
        self._header: _Header | None = None
        self._audio: _Audio | None = None  # the long audio-chunk that is being split
        self._last = b""  # header and data of the last frame
        self._last_payload = 0  # bytes of its payload; 0 while it is split

    @property
    def mid_frame(self) -> bool:
        """True while a frame is incomplete."""
        return bool(self._buffer) or self._header is not None or self._audio is not None

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_event(self) -> Event | None:
        """Return the next complete event, or None if more bytes are needed.

        Raises:
            ProtocolError: the bytes are not a frame, or the frame exceeds a limit.
        """
        if self._audio is not None:
            return self._next_piece(self._audio)
        if self._header is None:
            self._header = self._read_header()
            if self._header is None:
                return None
        header = self._header
        long = header.payload_length > self._limits.payload
        end = header.data_length + (0 if long else header.payload_length)
        if len(self._buffer) < end:
            return None
        extra = bytes(self._buffer[: header.data_length])
        payload = bytes(self._buffer[header.data_length : end])
        del self._buffer[:end]
        self._header = None
        self._last = header.line + extra
        self._last_payload = 0 if long else header.payload_length
        data = header.data
        if extra:
            data = data | _json_object(extra, "data", self._limits.values)
        if long:
            self._audio = _Audio(header.type, data, header.payload_length)
            return self._next_piece(self._audio)
        return Event(type=header.type, data=data, payload=payload or None)

    def next_alike(self, most: int) -> list[bytes]:
        """Return the payloads of the next complete frames that repeat the last event's header.

        A microphone sends a hundred frames a second that differ in nothing but the payload, and
        comparing them costs less than parsing each. Without such frames the list is empty. Call
        it only after next_event() has returned an event.

        Args:
            most: maximum number of bytes of all these payloads.
        """
        payloads: list[bytes] = []
        at, size = 0, self._last_payload
        while size and (len(payloads) + 1) * size <= most:
            begin = at + len(self._last)
            if begin + size > len(self._buffer) or not self._buffer.startswith(self._last, at):
                break
            at = begin + size
            payloads.append(bytes(self._buffer[begin:at]))
        del self._buffer[:at]
        return payloads

    def _next_piece(self, audio: _Audio) -> Event | None:
        size = min(_PIECE, self._limits.payload, audio.left)
        if len(self._buffer) < size:
            return None
        payload = bytes(self._buffer[:size])
        del self._buffer[:size]
        audio.left -= size
        if not audio.left:
            self._audio = None
        return Event(type=audio.type, data=audio.data, payload=payload)

    def _read_header(self) -> _Header | None:
        newline = self._buffer.find(b"\n", self._searched)
        if newline < 0:
            self._searched = len(self._buffer)
        if (newline if newline >= 0 else self._searched) > self._limits.header:
            raise ProtocolError(
                f"header is over {self._limits.header} bytes; "
                "a Wyoming event starts with one line of JSON"
            )
        if newline < 0:
            return None
        line = bytes(self._buffer[: newline + 1])
        del self._buffer[: newline + 1]
        self._searched = 0
        header = _json_object(line, "header", self._limits.values)
        kind = header.get("type")
        if not isinstance(kind, str):
            raise ProtocolError("header has no type; it must be a string")
        data = header.get("data")
        if data is None:
            data = {}
        if not isinstance(data, dict):
            raise ProtocolError("data in the header must be a JSON object")
        is_audio = AudioChunk.is_type(kind)
        most = max(self._limits.payload, self._limits.audio if is_audio else 0)
        return _Header(
            line=line,
            type=kind,
            data=data,
            data_length=_length(header, "data_length", self._limits.data),
            payload_length=_length(header, "payload_length", most),
        )


@dataclass(frozen=True, slots=True)
class _Header:
    line: bytes  # with the newline
    type: str
    data: dict[str, Any]
    data_length: int
    payload_length: int


@dataclass(slots=True)
class _Audio:
    """A long audio-chunk that is returned piece by piece."""

    type: str
    data: dict[str, Any]
    left: int  # bytes of its payload that have not been returned yet


def _length(header: dict[str, Any], key: str, limit: int) -> int:
    value = header.get(key)
    if value is None:
        return 0
    # In Python a bool is an int; in the protocol it is not.
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProtocolError(f"{key} must be a whole number from 0 to {limit}")
    if value > limit:
        raise ProtocolError(f"{key} is {printable(value, 20)} bytes; the limit is {limit}")
    return value


def _json_object(text: bytes, what: str, most: int) -> dict[str, Any]:
    brackets = text.count(b"{") + text.count(b"[")
    values = brackets + text.count(b",")
    if values > most:
        raise ProtocolError(f"{what} has {values} brackets and commas; the limit is {most}")
    try:
        value = _JSON.decode(text.decode())
    except RecursionError:
        raise ProtocolError(_TOO_DEEP.format(what)) from None
    except ValueError:
        # Raised for bad JSON, bad UTF-8, NaN, Infinity and numbers with 5,000 digits.
        found = " but HTTP" if _HTTP.match(text) else ""
        raise ProtocolError(f"{what} is not JSON{found}") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be a JSON object")
    # Most events have so few brackets that they cannot be too deep; skip the slow check.
    if brackets > _DEPTH and _is_deep(value):
        raise ProtocolError(_TOO_DEEP.format(what))
    return value


_TOO_DEEP = f"{{}} is nested deeper than {_DEPTH} levels"


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a JSON number")
    return value


# Shared: json.loads() would make a decoder for each of a hundred headers a second.
_JSON = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined]
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def write_event(event: Event) -> bytes:
    """Serialise an event in the same layout as the wyoming library."""
    header: dict[str, Any] = {"type": event.type, "version": WYOMING_VERSION}
    data = _json(event.data) if event.data else b""
    if data:
        header["data_length"] = len(data)
    if event.payload:
        header["payload_length"] = len(event.payload)
    return b"".join((_json(header), b"\n", data, event.payload or b""))


def _json(value: dict[str, Any]) -> bytes:
    # UTF-8 cannot encode a lone surrogate, such as "\\ud800" from a peer: it becomes "?".
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")
