"""Body of a request with a file. The file is decoded while the body arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from ....errors import TooSlow, printable
from ..api_errors import ApiError
from .multipart import Field, FileData, FileStart, MultipartReader
from .spool import Spool


class Disconnected(Exception):
    """The client has closed the connection."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Limits for the body of a request."""

    size: int = 25 * 1024 * 1024  # bytes, form fields included
    seconds: float = 600.0  # for the whole body
    silence: float = 30.0  # seconds without any data
    folder: Path | None = None  # of the temporary files; None = the system's


class Upload:
    """A multipart form with one file. Lives on the event loop.

    Use it as a context manager, which frees the file. receive() must run in a task.

    Args:
        scope: of the request.
        receive: returns the ASGI messages of the request.
        limits: the limits to enforce.

    Raises:
        ApiError: the body is not a multipart form, or it is compressed.
    """

    def __init__(self, scope: Scope, receive: Receive, limits: UploadLimits) -> None:
        self._headers = Headers(scope=scope)
        self._receive = receive
        self._limits = limits
        _check_encoding(self._headers.get("content-encoding", ""))
        self._form = MultipartReader(self._headers.get("content-type", ""))
        self.fields: list[tuple[str, str]] = []  # names and values, in order
        self.file: FileStart | None = None  # head of the file's part; None before it
        self.spool = Spool(limits.folder)
        self._handed_over = False
        self.file_begun = asyncio.Event()  # also set at the end of a body without a file
        self.complete = asyncio.Event()

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._handed_over:
            self.spool.close()

    def hand_over(self) -> Spool:
        """Return the file to a new owner, who has to close it."""
        self._handed_over = True
        return self.spool

    async def receive(self) -> None:
        """Receive the body, then wait until the client leaves.

        Raises:
            ApiError: the body is too large, or is not a multipart form.
            TooSlow: the body did not arrive in time.
            Disconnected: the client has left; always raised in the end.
        """
        announced = self._headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._limits.size:
            raise _too_large(int(announced), self._limits.size)
        try:
            async with asyncio.timeout(self._limits.seconds):
                async for data in self._body():
                    await self._take(data)
        except TimeoutError:
            raise TooSlow(
                f"the body did not arrive within {self._limits.seconds:g} s; see --upload-timeout"
            ) from None
        self._form.finish()
        self.spool.complete()
        self.file_begun.set()
        self.complete.set()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise Disconnected

    async def _body(self) -> AsyncIterator[bytes]:
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(self._limits.silence):
                    message = await self._receive()
            except TimeoutError:
                raise TooSlow(
                    f"no data arrived for {self._limits.silence:g} s; see --audio-timeout"
                ) from None
            if message["type"] == "http.disconnect":
                raise Disconnected
            data, more = message.get("body", b""), message.get("more_body", False)
            size += len(data)
            if size > self._limits.size:
                raise _too_large(size, self._limits.size)
            yield data

    async def _take(self, data: bytes) -> None:
        for event in self._form.feed(data):
            match event:
                case Field(name=name, value=value):
                    self.fields.append((name, value))
                case FileStart():
                    self.file = event
                case FileData(data=piece):
                    await self.spool.write(piece)
                    self.file_begun.set()


def _check_encoding(encoding: str) -> None:
    """Refuse a compressed body: it may be very large when it is unpacked."""
    if encoding.strip().lower() not in ("", "identity"):
        raise ApiError(
            415,
            f"the Content-Encoding is {printable(encoding, 40)}; send the form uncompressed",
        )


def _too_large(size: int, limit: int) -> ApiError:
    return ApiError(
        413,
        f"Maximum content size limit ({limit}) exceeded ({size} bytes read); see --max-upload",
        code="request_too_large",
    )
