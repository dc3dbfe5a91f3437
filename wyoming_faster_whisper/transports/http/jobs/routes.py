"""Routes of background jobs: poll, fetch the answer, delete. Relative to /v1."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive

from ..answer_members import JSON
from ..api_errors import ApiError, error_body, error_headers
from ..credentials import principal_of
from ..openapi import TRANSCRIPT, UPLOAD_ERRORS, error_responses
from .background import LONGEST_WAIT
from .job import Job
from .jobs import Jobs

_TIME = {"type": ["integer", "null"], "description": "Seconds since the epoch."}
JOB: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "audio.transcription.job"},
        "status": {"enum": ["queued", "in_progress", "completed", "failed", "cancelled"]},
        "created_at": _TIME,
        "completed_at": _TIME,
        "expires_at": _TIME,
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "model": {"type": "string"},
        "error": {"type": ["object", "null"], "description": "As in an error response."},
        "result": {"description": "The answer, if it is JSON and the job is completed."},
    },
}
"""JSON schema of a job."""

_Wait = Annotated[
    float, Query(ge=0, description=f"Seconds to wait for the end, {LONGEST_WAIT:g} at most.")
]


def job_routes(jobs: Jobs) -> APIRouter:
    """Make the routes, relative to /v1.

    Args:
        jobs: the jobs of all clients.
    """
    router = APIRouter(
        prefix="/audio/transcriptions/{id}", responses=error_responses(400, 403, 404)
    )

    @router.get(
        "", summary="Return the status of a background job", responses={200: _schema(JOB)}
    )
    async def poll(id: str, request: Request, wait: _Wait = 0) -> Response:
        job = jobs.find(id, principal_of(request.scope))
        await _wait(job, wait, request.receive)
        return Response(job.body(), media_type=JSON)

    @router.get(
        "/content",
        summary="Return the answer of a background job",
        # A job that has failed is answered with its error.
        responses=TRANSCRIPT | error_responses(*UPLOAD_ERRORS, 409),
    )
    async def content(id: str, request: Request, wait: _Wait = 0) -> Response:
        job = jobs.find(id, principal_of(request.scope))
        await _wait(job, wait, request.receive)
        if job.content is not None:
            return Response(job.content.body, headers={"content-type": job.content.type})
        error = job.error or ApiError(
            409, f"job {job.id} is {job.status}; it has no content", code="job_not_completed"
        )
        # Asking for it again would not help.
        return JSONResponse(
            error_body(error), error.status, error_headers(error) | {"x-should-retry": "false"}
        )

    @router.delete("", summary="Delete a background job; cancel it if it has not ended")
    async def delete(id: str, request: Request) -> Response:
        jobs.delete(jobs.find(id, principal_of(request.scope)))
        return JSONResponse(
            {"id": id, "object": "audio.transcription.job.deleted", "deleted": True}
        )

    return router


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {JSON: {"schema": schema}}}


async def _wait(job: Job, seconds: float, receive: Receive) -> None:
    """Wait until the job has ended, for a limited time, and only while the client is there."""

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(left()), asyncio.ensure_future(job.ended.wait())]
    try:
        await asyncio.wait(
            tasks, timeout=min(seconds, LONGEST_WAIT), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in tasks:
            task.cancel()
