"""Background requests: answered with a job, or with the transcript if it is ready in time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.types import Send

from ....principal import Principal
from ..answer_members import JSON
from ..api_errors import ApiError
from ..files.form import FieldConflict, TranscriptionForm
from ..replies import send_body
from .job import Job, JobStatus, Work
from .jobs import Jobs
from .prefer import Prefer

if TYPE_CHECKING:
    from .webhooks import Webhooks  # imports an HTTP client

LONGEST_WAIT = 60.0
"""Seconds for which a request may wait for a job. Many proxies end a request soon after."""


def jobs_reference(path: str) -> str:
    """Return a reference to the jobs, relative to the URL of a request for one.

    A proxy may serve the API below a path that this server does not know, so the response cannot
    have an absolute path.

    Args:
        path: of the request as the client sent it.
    """
    bare = path.rstrip("/")
    folder = bare.rpartition("/")[0].rstrip("/")
    below = "transcriptions" if folder.endswith("/audio") else "audio/transcriptions"
    return "../" * (len(path) - len(bare)) + below


class Background:
    """Serves requests in the background. Lives on the event loop.

    Args:
        jobs: the jobs of all clients.
        webhooks: tells other servers that a job has ended; None = not configured.
    """

    def __init__(self, jobs: Jobs, webhooks: Webhooks | None) -> None:
        self._jobs = jobs
        self._webhooks = webhooks

    def takes(self, form: TranscriptionForm, prefer: Prefer, principal: Principal) -> bool:
        """Return whether a request is to be answered in the background.

        A preference does not count if the form asks for a stream.

        Raises:
            Busy: there is no room for the job.
            ApiError: it is, but the options do not allow it.
            FieldConflict: it is not, but its fields are those of a job.
        """
        if not form.background and (form.stream or not prefer.respond_async):
            if form.webhook_url is not None:
                raise FieldConflict(
                    400, "webhook_url is for background=true only", param="webhook_url"
                )
            return False
        if form.webhook_url is not None:
            if self._webhooks is None:
                raise ApiError(
                    400,
                    "this server sends no webhooks; see --webhook-url",
                    param="webhook_url",
                )
            self._webhooks.check(form.webhook_url)
        self._jobs.check_room(principal)
        return True

    async def answer(
        self,
        work: Work,
        webhook_url: str | None,
        prefer: Prefer,
        principal: Principal,
        send: Send,
        *,
        jobs: str,
    ) -> None:
        """Make a job, and send it, or its result if that is ready while the client waits.

        The job keeps the upload, whatever happens. Until it has been sent to the client, it is
        cancelled if the client leaves.

        Args:
            jobs: a reference to the jobs, relative to the URL of the request.

        Raises:
            Busy: there is no room for the job.
            ApiError: the job is too large, or failed while the client waited.
        """
        job = self._jobs.add(principal, work)
        sent = False
        try:
            if prefer.wait:
                await job.wait(min(prefer.wait, LONGEST_WAIT))
                if job.error is not None:
                    raise job.error
                if job.content is not None:
                    await send_body(send, job.content.body, job.content.type)
                    return
            headers = {"location": f"{jobs}/{job.id}"}
            if prefer.respond_async:
                headers["preference-applied"] = "respond-async"
            await send_body(send, job.body(), JSON, 202, headers)
            sent = True
        finally:
            if not sent:
                self._jobs.delete(job)
        if webhook_url is not None:
            job.when_ended(partial(self._notify, webhook_url))

    def _notify(self, url: str, job: Job) -> None:
        assert self._webhooks is not None
        if job.status is not JobStatus.CANCELLED:
            self._webhooks.notify(url, f"transcription.{job.status}", job.id)
