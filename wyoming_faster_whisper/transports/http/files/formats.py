"""Answers of the HTTP API: JSON, text, subtitles, and server-sent events. Pure.

Segments and cues are cut at words to a few seconds, as those of OpenAI's API are
(session/captions.py). Keys that OpenAI's API does not have are extras, which its clients pass on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ....models.languages import MULTILINGUAL_V3, NAMES, UNSPACED, normalise
from ....session.captions import cues, pieces
from ....session.events import Answer, TimedSegment
from ....subtitles import srt, tsv, vtt
from ..answer_members import JSON, finite_logprob, token_logprobs, usage
from ..api_errors import ApiError, error_body
from .form import ResponseFormat, Task, TranscriptionForm

SSE_END = b"data: [DONE]\n\n"
"""Last event of a stream. OpenAI's clients stop reading here."""

_FRAMES_PER_SECOND = 100  # of Whisper's spectrogram, in which `seek` counts

# Ends of a line for clients that split a stream with Python's str.splitlines(). JSON itself
# escapes all others.
_LINE_ENDS = {ord(each): f"\\u{ord(each):04x}" for each in "\x85\u2028\u2029"}


def render(
    answer: Answer, form: TranscriptionForm, *, language_codes: bool = False
) -> tuple[bytes, str]:
    """Return an answer in the format that the form asks for, and its content type.

    Args:
        language_codes: whether verbose_json names the language by its code ("en") rather than by
            its English name ("english").
    """
    match form.response_format:
        case ResponseFormat.TEXT:
            return _encode(f"{answer.transcript.text}\n"), "text/plain; charset=utf-8"
        case ResponseFormat.SRT:
            return _encode(srt(cues(answer.segments))), "application/x-subrip; charset=utf-8"
        case ResponseFormat.VTT:
            return _encode(vtt(cues(answer.segments))), "text/vtt; charset=utf-8"
        case ResponseFormat.TSV:
            written = tsv(cues(answer.segments))
            return _encode(written), "text/tab-separated-values; charset=utf-8"
        case ResponseFormat.JSON:
            return _dump(_json(answer, form)), JSON
        case ResponseFormat.VERBOSE_JSON:
            return _dump(_verbose(answer, form, language_codes)), JSON


def sse_delta(text: str) -> bytes:
    """Return the event for a piece of committed text. It cannot be taken back."""
    return _event("transcript.text.delta", {"type": "transcript.text.delta", "delta": text})


def sse_done(answer: Answer, form: TranscriptionForm) -> bytes:
    """Return the event for an answer, whose text is that of all deltas joined.

    It has no usage: OpenAI's clients expect a number of tokens there.
    """
    members = {**_text(answer, form), **_details(answer, form)}
    return _event("transcript.text.done", {"type": "transcript.text.done", **members})


def sse_error(error: ApiError) -> bytes:
    """Return the event for an error. The status has been sent before."""
    return _event("error", error_body(error))


def _event(name: str, data: dict[str, Any]) -> bytes:
    # SubtitleEdit drops events without a name; OpenAI's clients accept those equal to the type.
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _dump(data))


def _dump(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _encode(text.translate(_LINE_ENDS))


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")  # an upstream server may send lone surrogates


def _json(answer: Answer, form: TranscriptionForm) -> dict[str, Any]:
    """Return the members of `json`. Segments and words are extras there."""
    return {**_text(answer, form), **_details(answer, form), "usage": usage(answer)}


def _text(answer: Answer, form: TranscriptionForm) -> dict[str, Any]:
    code = _language(answer, form)
    languages = {"languages": [{"code": code}]} if code else {}
    return {"text": answer.transcript.text, **languages}


def _verbose(answer: Answer, form: TranscriptionForm, language_codes: bool) -> dict[str, Any]:
    code = _language(answer, form)
    return {
        "task": form.task,
        "language": code if language_codes else NAMES.get(code, code),
        "language_code": code,
        "duration": _seconds(answer.record.heard),
        "text": answer.transcript.text,
        **_details(answer, form),
        "usage": usage(answer),
    }


def _details(answer: Answer, form: TranscriptionForm) -> dict[str, Any]:
    """Return segments, words and log-probabilities, as far as the form asks for them."""
    details: dict[str, Any] = {}
    if form.gives_segments:
        spaced = _language(answer, form) not in UNSPACED
        details["segments"] = list(_segments(answer, " " if spaced else ""))
    if form.gives_words:
        details["words"] = [
            {
                "word": word.text,
                "start": _seconds(word.start),
                "end": _seconds(word.end),
                "probability": round(word.probability, 4),
            }
            for segment in answer.segments
            for word in segment.words
        ]
    if form.logprobs:
        details["logprobs"] = token_logprobs(answer)
    return details


def _segments(answer: Answer, space: str) -> Iterator[dict[str, Any]]:
    number = 0
    for segment in answer.segments:
        for piece in pieces(segment):
            seek = round(segment.start * _FRAMES_PER_SECOND)
            yield {"id": number, "seek": seek, **_segment(piece, space)}
            number += 1


def _segment(piece: TimedSegment, space: str) -> dict[str, Any]:
    return {
        "start": _seconds(piece.start),
        "end": _seconds(piece.end),
        "text": space + piece.text,
        "tokens": piece.tokens,
        "temperature": piece.temperature,
        "avg_logprob": finite_logprob(piece.avg_logprob),
        "compression_ratio": round(piece.compression_ratio, 4),
        "no_speech_prob": round(piece.no_speech_prob, 6),
    }


def _language(answer: Answer, form: TranscriptionForm) -> str:
    """Return Whisper's code of the text's language; "" if there was no speech to detect it in."""
    if form.task is Task.TRANSLATE:
        return "en"
    code = answer.transcript.language or normalise(form.language or "", MULTILINGUAL_V3)
    return code or ""


def _seconds(seconds: float) -> float:
    return round(float(seconds), 3)
