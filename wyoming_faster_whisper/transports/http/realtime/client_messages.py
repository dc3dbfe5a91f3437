"""Messages of a client of OpenAI's realtime protocol. Pure.

server_events.py makes the messages of the server; docs/http-realtime.md lists both.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ....errors import ServerError, printable
from ..api_errors import ApiError

LEAST_AUDIO = 0.1
"""Seconds of audio that a commit needs."""

_LONGEST_ID = 512  # characters of a client's event_id
_LARGE = 64 * 1024  # characters of a message
_MOST_VALUES = 5_000  # of a large message
_SLICE = 256 * 1024  # characters of base64 decoded at once; a multiple of 4

UPDATES = {"session.update": "session", "transcription_session.update": "transcription_session"}
"""Messages that update the session, each with the prefix of the server's answer."""

APPEND = "input_audio_buffer.append"
COMMIT = "input_audio_buffer.commit"
CLEAR = "input_audio_buffer.clear"

# Prefixes of the messages that concern spoken answers.
_SPOKEN_ANSWERS = ("conversation.", "response.", "output_audio_buffer.")


class RealtimeError(Exception):
    """A client's message is at fault. It is answered with an error event; the connection stays.

    Args:
        message: what was received, what is accepted.
        code: OpenAI's error code.
        param: path of the value at fault, such as session.audio.input.format.
        event_id: the client's id of the message; added later where it is not known yet.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_value",
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.event_id = event_id

    def as_api_error(self) -> ApiError:
        """Return the error of an HTTP response, where no WebSocket is open."""
        return ApiError(400, str(self), param=self.param, code=self.code)


class SessionExpired(ServerError):
    """The session has reached its maximum length."""

    code = "session_expired"


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the client."""

    type: str
    event_id: str | None
    body: Mapping[str, Any]
    size: int  # bytes of memory that it takes, roughly
    audio: bytes = b""  # of an append, decoded


def read_message(text: str) -> Message:
    """Parse a message of the client.

    Raises:
        RealtimeError: it is not JSON, or not a message of this protocol.
    """
    # A large message is one long string. Millions of small values would take a hundred times as
    # much memory.
    if len(text) > _LARGE and sum(map(text.count, "{[,")) > _MOST_VALUES:
        raise RealtimeError(
            f"a message of {len(text)} characters has more than {_MOST_VALUES} values",
            code="invalid_json",
        )
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise RealtimeError(f"{printable(text, 40)!r} is not JSON", code="invalid_json") from None
    if not isinstance(body, dict):
        raise RealtimeError(f"{printable(text, 40)!r} is not a JSON object", code="invalid_json")
    identity = body.get("event_id")
    if not isinstance(identity, str | None) or len(identity or "") > _LONGEST_ID:
        raise RealtimeError(
            f"event_id must be a string of at most {_LONGEST_ID} characters", param="event_id"
        )
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in (*UPDATES, APPEND, COMMIT, CLEAR):
        raise _unknown(kind, identity)
    return Message(kind, identity, body, len(text))


def _unknown(kind: object, event_id: str | None) -> RealtimeError:
    if isinstance(kind, str) and kind.startswith(_SPOKEN_ANSWERS):
        return RealtimeError(
            f"{printable(kind, 60)} is not supported: this server only transcribes",
            code="unsupported_event",
            param="type",
            event_id=event_id,
        )
    return RealtimeError(
        f"type is {printable(kind, 60)!r}; it must be one of "
        f"{', '.join((*UPDATES, APPEND, COMMIT, CLEAR))}",
        param="type",
        event_id=event_id,
    )


def decode_audio(message: Message) -> Iterator[bytes]:
    """Decode the audio of an append, in pieces that take about a millisecond each.

    Raises:
        RealtimeError: it is not base64.
    """
    audio = message.body.get("audio")
    if not isinstance(audio, str):
        raise RealtimeError(
            f"audio is {printable(audio, 20)!r}; it must be a string of base64",
            param="audio",
            event_id=message.event_id,
        )
    for at in range(0, len(audio), _SLICE):
        piece = audio[at : at + _SLICE]
        try:
            if "=" in piece and at + _SLICE < len(audio):
                raise ValueError("padding before the end")
            yield base64.b64decode(piece, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RealtimeError(
                f"audio is not base64: {str(error).lower()}",
                param="audio",
                event_id=message.event_id,
            ) from None


def with_audio(message: Message, audio: bytes) -> Message:
    """Return the message with its audio decoded, and without its base64."""
    return replace(message, body={}, size=len(audio), audio=audio)


def new_id(kind: str) -> str:
    """Return a new id, such as item_3f2a...; kind is sess, item or event."""
    return f"{kind}_{secrets.token_hex(12)}"
