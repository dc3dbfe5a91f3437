"""Routes of the OpenAI-compatible API, with their description for /openapi.json."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .answer_members import JSON
from .catalogue import Catalogue
from .credentials import principal_of
from .files.form import ResponseFormat, Task
from .jobs.routes import JOB
from .openapi import TRANSCRIPT, UPLOAD_ERRORS, error_responses, multipart_body
from .replies import Served
from .transcriptions import Route, Transcriptions

_STRINGS = {"type": "array", "items": {"type": "string"}}
_FIELDS: dict[str, Any] = {
    "file": {
        "type": "string",
        "format": "binary",
        "description": "Audio or video in any format that FFmpeg decodes, whatever its name.",
    },
    "model": {"type": "string", "description": "A served model, or whisper-1 for the default."},
    "prompt": {"type": "string", "description": "Text that shows the style and the words."},
    "response_format": {
        "type": "string",
        "enum": list(ResponseFormat),
        "default": "json",
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "timestamp_granularities[]": {
        "type": "array",
        "items": {"type": "string", "enum": ["word", "segment"]},
    },
    "stream": {"type": "boolean", "description": "Send the text as server-sent events."},
    "background": {
        "type": "boolean",
        "description": "Answer 202 with a job; the header Prefer: respond-async does the same.",
    },
    "webhook_url": {
        "type": "string",
        "description": "URL to be told that the job has ended; it needs --webhook-url.",
    },
}
_TRANSCRIPTION_FIELDS = _FIELDS | {
    "language": {"type": "string", "description": "Language of the speech; default: detected."},
    "languages[]": _STRINGS | {"description": "Languages that may be detected."},
    "keywords[]": _STRINGS | {"description": "Names and terms to favour."},
    "hotwords": {"type": "string", "description": "The same, separated by commas."},
    "include[]": {"type": "array", "items": {"type": "string", "enum": ["logprobs"]}},
    "chunking_strategy": {"type": "string", "description": "auto, or JSON of server_vad."},
}

_JOB: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "A background job",
        "content": {JSON: {"schema": JOB}},
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
}


def routes(transcriptions: Transcriptions, catalogue: Catalogue) -> APIRouter:
    """Make the routes of the API, relative to /v1.

    Args:
        transcriptions: serves uploads.
        catalogue: the models that are offered.
    """
    router = APIRouter()

    @router.post(
        "/audio/transcriptions",
        summary="Transcribe a file",
        openapi_extra=multipart_body("file", _TRANSCRIPTION_FIELDS),
        responses=TRANSCRIPT | _JOB | error_responses(*UPLOAD_ERRORS),
    )
    async def transcribe() -> Response:
        return Served(partial(transcriptions.serve, route=Route()))

    @router.post(
        "/audio/translations",
        summary="Transcribe a file, and translate the text to English",
        openapi_extra=multipart_body("file", _FIELDS),
        responses=TRANSCRIPT | _JOB | error_responses(*UPLOAD_ERRORS),
    )
    async def translate() -> Response:
        return Served(partial(transcriptions.serve, route=Route(Task.TRANSLATE)))

    @router.get("/models", summary="List the models", responses=error_responses(403))
    async def models(request: Request) -> Response:
        return JSONResponse(catalogue.of(principal_of(request.scope).tenant).list())

    # SDKs encode the slash of a hub id as %2F, which ASGI decodes.
    @router.get(
        "/models/{name:path}", summary="Describe a model", responses=error_responses(403, 404)
    )
    async def model(name: str, request: Request) -> Response:
        offered = catalogue.of(principal_of(request.scope).tenant)
        return JSONResponse(offered.retrieve(name))

    return router
