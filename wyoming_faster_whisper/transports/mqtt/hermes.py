"""Hermes messages: JSON of satellites → requests, and events of a session → JSON. Pure.

The fields are those of rhasspy-hermes 0.6.2 (rhasspyhermes/asr.py), in camel case. Fields that
this server adds: sendPartials and wordTimes of startListening.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...engine.protocol import Word
from ...errors import ProtocolError, ServerError, printable, visible
from ...session.events import Answer, TimedSegment
from ...session.request import LONGEST_NAME, MOST_NAMES, Request
from ...speech.endpointing import TurnRules
from .topics import check_id

LARGEST_CONTROL = 16 * 1024
"""Bytes of a message that is not audio."""

_DEFAULT_SITE = "default"
_LONGEST_TEXT = 128  # characters of other fields


@dataclass(frozen=True, slots=True)
class StartListening:
    """A satellite begins an utterance."""

    site: str
    session: str | None = None
    language: str | None = None  # any language tag
    stop_on_silence: bool = True  # the server ends the turn
    send_audio: bool = False  # the satellite wants the audio back
    wakeword: str | None = None  # returned with the text
    intents: tuple[str, ...] = ()  # names of the intents that may follow
    partials: bool = False  # the satellite wants partial text
    word_times: bool = False  # the satellite wants asrTokens


@dataclass(frozen=True, slots=True)
class StopListening:
    """A satellite ends an utterance."""

    site: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Toggle:
    """A site's audio is to be ignored, or to be heard again."""

    site: str
    on: bool
    # The site is off while any reason is in force; toggleOn without a reason ends them all.
    reason: str = ""


def read_site(fields: dict[str, Any], topic_site: str | None) -> str:
    """Return the site of a message.

    Args:
        fields: the payload.
        topic_site: the site in the topic; None = the topic names none.

    Raises:
        ProtocolError: the site id cannot be one, or differs from that of the topic.
    """
    site = _text(fields, "siteId")
    if topic_site is None:
        site = _DEFAULT_SITE if site is None else site
    elif site not in (None, topic_site):
        raise ProtocolError("siteId differs from the site in the topic")
    else:
        site = topic_site
    check_id(site, "siteId")
    return site


def read_session(fields: dict[str, Any]) -> str | None:
    """Return the session id of a message; None if it has none.

    Raises:
        ProtocolError: it cannot be one.
    """
    session = _text(fields, "sessionId")
    if not session:
        return None
    check_id(session, "sessionId")
    return session


def read_start(fields: dict[str, Any], site: str) -> StartListening:
    """Parse startListening.

    Raises:
        ProtocolError: a field has a wrong type or is too long.
    """
    return StartListening(
        site,
        read_session(fields),
        language=_text(fields, "lang") or None,
        stop_on_silence=_flag(fields, "stopOnSilence", default=True),
        send_audio=_flag(fields, "sendAudioCaptured"),
        wakeword=_text(fields, "wakewordId"),
        intents=_texts(fields, "intentFilter"),
        partials=_flag(fields, "sendPartials"),
        word_times=_flag(fields, "wordTimes"),
    )


def read_stop(fields: dict[str, Any], site: str) -> StopListening:
    """Parse stopListening.

    Raises:
        ProtocolError: a field has a wrong type or is too long.
    """
    return StopListening(site, read_session(fields))


def read_toggle(fields: dict[str, Any], site: str, *, on: bool) -> Toggle:
    """Parse toggleOn and toggleOff.

    Raises:
        ProtocolError: a field has a wrong type or is too long.
    """
    return Toggle(site, on, _text(fields, "reason") or "")


def request_of(start: StartListening, server: TurnRules, partials: str) -> Request:
    """Return the session's request for an utterance.

    Args:
        server: the server's endpointing. If it ends no turns by itself, the end-of-turn class
            of the text decides where silence ends one.
        partials: the server's setting for partial text.
    """
    if not start.stop_on_silence:
        rules = replace(server, min_silence=0.0, auto=False, early_silence=0.0)
    elif server.server_endpointing(None):
        rules = server
    else:
        rules = replace(server, auto=True)
    wanted = "off"
    if start.partials:
        wanted = "auto" if partials == "off" else partials
    return Request(
        language=start.language,
        expected=True,
        hotwords=tuple(dict.fromkeys(filter(None, map(_spoken, start.intents)))),
        word_times=start.word_times,
        endpointing=rules,
        partials=wanted,
    )


def _spoken(intent: str) -> str:
    """Return the words in the name of an intent: "owner:turnOnLight" → "turn on light"."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", intent.rpartition(":")[2])
    return visible(re.sub(r"[_\-./]+", " ", name)).lower()


def text_captured(start: StartListening, answer: Answer) -> bytes:
    """Return textCaptured for the answer to an utterance."""
    text, record = answer.transcript.text, answer.record
    waited = record.wait if record.wait is not None else record.after_stop
    return _json(
        {
            "text": text,
            "likelihood": likelihood(answer.segments) if text else 0.0,
            "seconds": round(waited or 0.0, 3),
            "siteId": start.site,
            "sessionId": start.session,
            "wakewordId": start.wakeword,
            "asrTokens": [_tokens(text, answer.segments)] if start.word_times else None,
            "lang": answer.transcript.language or start.language,
        }
    )


def no_text_captured(start: StartListening) -> bytes:
    """Return textCaptured for an utterance that failed: a dialogue manager waits for it."""
    return _json(
        {
            "text": "",
            "likelihood": 0.0,
            "seconds": 0.0,
            "siteId": start.site,
            "sessionId": start.session,
            "wakewordId": start.wakeword,
            "asrTokens": None,
            "lang": start.language,
        }
    )


def partial_text(start: StartListening, text: str) -> bytes:
    """Return partialTextCaptured with all committed text of the utterance so far."""
    return _json({"text": text, "siteId": start.site, "sessionId": start.session})


def recording(start: StartListening) -> bytes:
    """Return recordingStarted or recordingFinished."""
    return _json({"siteId": start.site, "sessionId": start.session})


def error(site: str, session: str | None, cause: ServerError) -> bytes:
    """Return an error; its context is the code of errors.py."""
    return _json(
        {"error": str(cause), "siteId": site, "context": cause.code, "sessionId": session}
    )


def likelihood(segments: Sequence[TimedSegment]) -> float:
    """Return the mean probability of a token, 0 to 1; 0 without segments."""
    weights = [max(1, len(segment.tokens)) for segment in segments]
    if not weights:
        return 0.0
    total = sum(
        weight * segment.avg_logprob for weight, segment in zip(weights, segments, strict=True)
    )
    return round(min(1.0, math.exp(total / sum(weights))), 4)


def _tokens(text: str, segments: Sequence[TimedSegment]) -> list[dict[str, Any]]:
    """Return asrTokens: the words, with their place in the text if they are found there."""
    found: list[dict[str, Any]] = []
    at = 0
    for word in (word for segment in segments for word in segment.words):
        begin = text.find(word.text, at)
        begin = at if begin < 0 else begin  # the style of the text may have changed the word
        end = min(len(text), begin + len(word.text))
        found.append(_token(word, begin, end))
        at = end
    return found


def _token(word: Word, begin: int, end: int) -> dict[str, Any]:
    return {
        "value": word.text,
        "confidence": round(word.probability, 4),
        "rangeStart": begin,
        "rangeEnd": end,
        "time": {"start": round(word.start, 3), "end": round(word.end, 3)},
    }


def _json(fields: dict[str, Any]) -> bytes:
    # A lone surrogate, from an upstream server, has no UTF-8.
    return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _text(fields: dict[str, Any], key: str) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ProtocolError(f"{key} is {printable(value, 20)}; it must be a string")
    if key not in ("siteId", "sessionId") and len(value) > _LONGEST_TEXT:
        raise ProtocolError(f"{key} has {len(value)} characters; the limit is {_LONGEST_TEXT}")
    return value


def _flag(fields: dict[str, Any], key: str, *, default: bool = False) -> bool:
    value = fields.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ProtocolError(f"{key} is {printable(value, 20)}; it must be true or false")
    return value


def _texts(fields: dict[str, Any], key: str) -> tuple[str, ...]:
    values = fields.get(key)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ProtocolError(f"{key} must be a list of strings")
    return tuple(value[:LONGEST_NAME] for value in values[:MOST_NAMES])
