"""POST /v1/audio/transcriptions and /translations: one upload, from its first byte to the answer.

    body arrives ─► Upload ─► spool ─► FileTranscriber ─► committed text ─► server-sent events
                      │                      │
                    fields                 answer ─► json, text, srt, vtt, verbose_json
                                             └─► background job, if the client wants one

The audio is decoded while it arrives if the fields that the client sends before the file name a
model, as OpenAI's Python client does. Other clients send the file first; their fields are known
only at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from ...audio.pcm import PcmFormat
from ...errors import ServerError, Stopping, first_of, printable
from ...principal import Principal
from ...session.events import Answer
from ...session.memory_guard import MemoryGuard
from ...session.request import Request
from .api_errors import ApiError, api_error
from .catalogue import Catalogue
from .credentials import principal_of
from .files.event_stream import EventStream
from .files.form import FieldConflict, Task, TranscriptionForm, parse_form
from .files.formats import render
from .files.in_flight import FilesInFlight
from .files.requests import raw_format, request_of
from .files.transcriber import FileTranscriber, Source
from .files.upload import Disconnected, Upload, UploadLimits
from .jobs.background import Background, jobs_reference
from .jobs.job import Content, Work
from .jobs.prefer import Prefer, parse_prefer
from .replies import send_body, send_error
from .request_log import RequestLog

Render = Callable[[Answer, TranscriptionForm], tuple[bytes, str]]
"""Returns the body for an answer, and its content type."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules for the transcription of files."""

    catalogue: Catalogue
    limits: UploadLimits
    in_flight: FilesInFlight
    guard: MemoryGuard
    retry_after: Callable[[], int]  # seconds after which a client that got "busy" may try again
    log: RequestLog
    render: Render = render


@dataclass(frozen=True, slots=True)
class Route:
    """Additions to the form of a request by its route."""

    task: Task = Task.TRANSCRIBE  # a field of the form may override it
    fields: tuple[tuple[str, str], ...] = ()  # names and values, from the query for example
    raw: PcmFormat | None = None  # format of the file if it is PCM without a container
    first: float | None = None  # seconds of the file to transcribe; None = all of it
    render: Render | None = None  # None = as the rules say


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request and its response."""

    upload: Upload
    route: Route
    principal: Principal
    stream: EventStream
    send: Send
    prefer: Prefer
    render: Render
    jobs: str  # a reference to the background jobs

    @property
    def form(self) -> TranscriptionForm:
        """The form as far as it has arrived."""
        return parse_form([*self.upload.fields, *self.route.fields], task=self.route.task)


class Transcriptions:
    """Serves uploads of files. Lives on the event loop.

    Args:
        transcriber: transcribes the files.
        rules: limits and models.
        background: answers the requests of clients that do not wait.
    """

    def __init__(
        self, transcriber: FileTranscriber, rules: Rules, background: Background
    ) -> None:
        self._transcriber = transcriber
        self._rules = rules
        self._background = background
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False

    async def drain(self, seconds: float) -> None:
        """Refuse new files, let running ones end, then cancel the others.

        Args:
            seconds: time for running files to end.
        """
        self._stopping = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, route: Route) -> None:
        """Serve one request: receive the body, transcribe the file, send the answer."""
        stream = EventStream(send)
        running = asyncio.current_task()
        assert running is not None
        self._running.add(running)
        try:
            error = await self._serve(scope, receive, stream, send, route)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            running.uncancel()
            error = api_error(Stopping(), self._rules.retry_after)
        finally:
            self._running.discard(running)
        if error is not None:
            self._rules.log.failed(scope, error)
            await (stream.fail(error) if stream.begun else send_error(send, error))

    async def _serve(
        self, scope: Scope, receive: Receive, stream: EventStream, send: Send, route: Route
    ) -> ApiError | None:
        """Serve one request; return the error to send, None after an answer."""
        principal, rules, error = principal_of(scope), self._rules, None
        prefer = parse_prefer(Headers(scope=scope).getlist("prefer"))
        try:
            if self._stopping:
                raise Stopping
            rules.guard.check_new()
            with (
                rules.in_flight.one_more(principal),
                Upload(scope, receive, self._limits(route)) as upload,
            ):
                async with asyncio.TaskGroup() as tasks:
                    receiving = tasks.create_task(upload.receive())
                    render = route.render or rules.render
                    jobs = jobs_reference(unquote(scope["raw_path"]))
                    await self._answer(
                        _Exchange(upload, route, principal, stream, send, prefer, render, jobs)
                    )
                    receiving.cancel()
        except* Disconnected:
            rules.log.abandoned(scope)
        except* (ApiError, ServerError) as group:
            error = api_error(first_of(group), rules.retry_after)
        return error

    def _limits(self, route: Route) -> UploadLimits:
        """Return the limits for an upload. PCM may be as large as the longest file is."""
        limits = self._rules.limits
        if route.raw is None:
            return limits
        size = route.raw.rate * route.raw.width * self._transcriber.max_seconds
        return replace(limits, size=max(limits.size, round(size)))

    async def _answer(self, exchange: _Exchange) -> None:
        upload, stream = exchange.upload, exchange.stream
        await upload.file_begun.wait()
        if not self._may_begin(exchange):
            await upload.complete.wait()  # the fields that follow the file are needed
        form, answer = exchange.form, None
        if not self._is_background(exchange, form):
            answer = await self._transcribe_early(exchange, form)
        await upload.complete.wait()
        final = exchange.form
        if self._is_background(exchange, final):
            await self._begin_job(exchange, final)
            return
        if answer is None:
            if stream.begun:
                raise ApiError(400, "with stream=true all fields must come before the file")
            answer = await self._transcribe(exchange, final)
        if final.stream:
            await stream.finish(answer, final)
        else:
            # In a thread: the segments of a film take 0.2 s.
            body = await asyncio.to_thread(exchange.render, answer, final)
            await send_body(exchange.send, *body)

    def _may_begin(self, exchange: _Exchange) -> bool:
        """Return whether the fields before the file suffice to transcribe it."""
        fields = exchange.upload.fields
        if not exchange.route.fields and not any(name == "model" for name, _ in fields):
            return False
        try:
            self._is_background(exchange, exchange.form)
        except FieldConflict:
            return False
        return True

    def _is_background(self, exchange: _Exchange, form: TranscriptionForm) -> bool:
        return self._background.takes(form, exchange.prefer, exchange.principal)

    async def _transcribe_early(
        self, exchange: _Exchange, form: TranscriptionForm
    ) -> Answer | None:
        """Transcribe the file while the body may still arrive.

        Args:
            form: as far as it has arrived.

        Returns:
            None if a field after the file asks for something else.
        """
        async with asyncio.TaskGroup() as tasks:
            transcribing = tasks.create_task(self._transcribe(exchange, form))
            await exchange.upload.complete.wait()
            if self._is_changed(exchange, form):
                transcribing.cancel()
                return None
        return transcribing.result()

    def _is_changed(self, exchange: _Exchange, form: TranscriptionForm) -> bool:
        """Return whether the whole form asks for another transcription than its beginning."""
        final, catalogue = exchange.form, self._rules.catalogue.of(exchange.principal.tenant)
        return (
            final.stream != form.stream
            or self._is_background(exchange, final)
            or request_of(final, catalogue) != request_of(form, catalogue)
        )

    async def _transcribe(self, exchange: _Exchange, form: TranscriptionForm) -> Answer:
        source, request = self._prepare(exchange, form)
        stream, principal = exchange.stream, exchange.principal
        if not form.stream:
            return await self._transcriber.transcribe(source, request, principal)
        async with stream.kept_alive():
            return await self._transcriber.transcribe(
                source, request, principal, on_text=stream.delta
            )

    async def _begin_job(self, exchange: _Exchange, form: TranscriptionForm) -> None:
        source, request = self._prepare(exchange, form)
        principal, render = exchange.principal, exchange.render

        async def transcribe(report: Callable[[float], None]) -> Content:
            answer = await self._transcriber.transcribe(
                source, request, principal, on_progress=report
            )
            return Content(*await asyncio.to_thread(render, answer, form))

        work = Work(exchange.upload.hand_over(), request.model or "", transcribe)
        await self._background.answer(
            work, form.webhook_url, exchange.prefer, principal, exchange.send, jobs=exchange.jobs
        )

    def _prepare(self, exchange: _Exchange, form: TranscriptionForm) -> tuple[Source, Request]:
        """Check that there is a file, and that the model can do what the form asks for."""
        upload, route = exchange.upload, exchange.route
        if upload.file is None:
            raise ApiError(400, "the form has no file", param="file")
        if not upload.spool.size:
            raise ApiError(400, "the file is empty", param="file", code="audio_too_short")
        request = request_of(form, self._rules.catalogue.of(exchange.principal.tenant))
        raw = route.raw or raw_format(upload.file.content_type)
        name = printable(upload.file.filename) or "the file"
        return Source(upload.spool, name, raw, route.first), request
