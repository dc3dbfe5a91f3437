"""Descriptions that several routes share in /openapi.json. Pure."""

from __future__ import annotations

from typing import Any

from .answer_members import JSON

UPLOAD_ERRORS = (400, 403, 404, 408, 413, 415, 429, 500, 503)
"""Statuses of the errors of a route that takes a file."""

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


_TYPES = (
    "application/json text/plain application/x-subrip text/vtt text/tab-separated-values "
    "text/event-stream"
)

TRANSCRIPT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The transcript in the format asked for, or its events",
        "content": {content_type: {} for content_type in _TYPES.split()},
    }
}
"""Description of an answer with a transcript."""


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the error responses of a route."""
    error = {"description": "Error", "content": {JSON: {"schema": _ERROR}}}
    return dict.fromkeys(statuses, error)


def multipart_body(file: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Describe a request whose body is a form.

    Args:
        file: the field that is required.
        fields: JSON schema of each field.
    """
    schema = {"type": "object", "required": [file], "properties": fields}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }
