"""Routes of whisper-asr-webservice, which Bazarr uses: /asr, /detect-language and /status.

Bazarr sends the audio of a whole film as PCM without a header, some 230 MB.
"""

from __future__ import annotations

import json
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ... import __version__
from ...audio.pcm import PcmFormat
from ...models.languages import NAMES
from ...session.events import Answer
from .answer_members import JSON
from .files.form import TranscriptionForm
from .openapi import TRANSCRIPT, UPLOAD_ERRORS, error_responses, multipart_body
from .replies import Served
from .transcriptions import Render, Route, Transcriptions

# Their query parameters, and the fields of our form.
_FIELDS = {"task": "task", "language": "language", "initial_prompt": "prompt"}
_FORMATS = {"txt": "text", "json": "verbose_json"}
_DETECTED_IN = 30.0  # seconds at the beginning of a file

_BODY = multipart_body("audio_file", {"audio_file": {"type": "string", "format": "binary"}})


def routes(transcriptions: Transcriptions, default_language: str) -> APIRouter:
    """Make the routes.

    Args:
        transcriptions: serves uploads.
        default_language: code of the language that is reported for a file without speech.
    """
    router = APIRouter()

    @router.post(
        "/asr",
        summary="Transcribe a file, as whisper-asr-webservice does",
        openapi_extra=_BODY,
        responses=TRANSCRIPT | error_responses(*UPLOAD_ERRORS),
    )
    async def asr(request: Request) -> Response:
        query = request.query_params
        fields = [(ours, query[theirs]) for theirs, ours in _FIELDS.items() if theirs in query]
        output = query.get("output", "txt")
        fields.append(("response_format", _FORMATS.get(output, output)))
        if query.get("word_timestamps", "").lower() == "true":
            fields.append(("timestamp_granularities", "word"))
        return _served(transcriptions, request, tuple(fields), None, None)

    @router.post(
        "/detect-language",
        summary="Detect the language of a file, as whisper-asr-webservice does",
        openapi_extra=_BODY,
        responses=error_responses(*UPLOAD_ERRORS),
    )
    async def detect_language(request: Request) -> Response:
        render = partial(_render_language, default_language)
        return _served(transcriptions, request, (("language", "auto"),), _DETECTED_IN, render)

    @router.get("/status", summary="Tell the version to Bazarr's connection test")
    async def status() -> Response:
        return JSONResponse({"version": f"wyoming-faster-whisper {__version__}"})

    return router


def _served(
    transcriptions: Transcriptions,
    request: Request,
    fields: tuple[tuple[str, str], ...],
    first: float | None,
    render: Render | None,
) -> Response:
    encoded = request.query_params.get("encode", "true").lower() != "false"
    route = Route(fields=fields, raw=None if encoded else PcmFormat(), first=first, render=render)
    return Served(partial(transcriptions.serve, route=route))


def _render_language(default: str, answer: Answer, form: TranscriptionForm) -> tuple[bytes, str]:
    # Bazarr needs a language even if there was no speech.
    transcript = answer.transcript
    code = transcript.language or default
    found = {
        "detected_language": NAMES[code],
        "language_code": code,
        "confidence": transcript.language_probability if transcript.language else 0.0,
    }
    return json.dumps(found).encode(), JSON
