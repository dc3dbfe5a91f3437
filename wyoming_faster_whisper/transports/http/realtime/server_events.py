"""Messages of the server in OpenAI's realtime protocol. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....errors import ServerError
from ....session.events import Answer
from ..answer_members import token_logprobs, usage
from ..api_errors import from_server_error
from .client_messages import RealtimeError, SessionExpired, new_id

ServerEvent = dict[str, Any]


def _event(kind: str, **fields: Any) -> ServerEvent:
    return {"type": kind, "event_id": new_id("event"), **fields}


def error_event(error: RealtimeError | ServerError) -> ServerEvent:
    """Return the event that reports an error."""
    if isinstance(error, RealtimeError):
        details = {
            "type": "invalid_request_error",
            "code": error.code,
            "message": str(error),
            "param": error.param,
            "event_id": error.event_id,
        }
    else:
        details = {**_details(error), "event_id": None}
    return _event("error", error=details)


def _details(error: ServerError) -> dict[str, str | None]:
    found = from_server_error(error)
    code = error.code if isinstance(error, SessionExpired) else found.code
    return {"type": found.type, "code": code, "message": found.message, "param": None}


def session_event(what: str, session: Mapping[str, Any]) -> ServerEvent:
    """Return an event that describes the session.

    Args:
        what: type of the event, such as session.created.
    """
    return _event(what, session=session)


def speech_started(item: str, seconds: float) -> ServerEvent:
    return _event(
        "input_audio_buffer.speech_started", item_id=item, audio_start_ms=round(1000 * seconds)
    )


def speech_stopped(item: str, seconds: float) -> ServerEvent:
    return _event(
        "input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=round(1000 * seconds)
    )


def committed(item: str, previous: str | None, *, beta: bool) -> Iterator[ServerEvent]:
    """Yield the events for audio that has become an item of the conversation.

    Args:
        previous: the item before; None = there is none.
        beta: whether to use the beta's names.
    """
    yield _event("input_audio_buffer.committed", item_id=item, previous_item_id=previous)
    described = {
        "id": item,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    kinds = ("created",) if beta else ("added", "done")
    for kind in kinds:
        yield _event(f"conversation.item.{kind}", previous_item_id=previous, item=described)


def cleared() -> ServerEvent:
    return _event("input_audio_buffer.cleared")


_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def delta(item: str, text: str) -> ServerEvent:
    return _event(f"{_TRANSCRIPTION}.delta", item_id=item, content_index=0, delta=text)


def completed(item: str, answer: Answer, *, logprobs: bool) -> ServerEvent:
    """Return the event with the whole transcript of an item.

    Args:
        logprobs: whether to include the log-probability of each token.
    """
    language = answer.transcript.language if answer.transcript.text else None
    found: dict[str, Any] = {
        "transcript": answer.transcript.text,
        "usage": usage(answer),
        "languages": [{"code": language}] if language else [],
    }
    if logprobs:
        found["logprobs"] = token_logprobs(answer)
    return _event(f"{_TRANSCRIPTION}.completed", item_id=item, content_index=0, **found)


def failed(item: str, error: ServerError) -> ServerEvent:
    return _event(
        f"{_TRANSCRIPTION}.failed", item_id=item, content_index=0, error=_details(error)
    )
