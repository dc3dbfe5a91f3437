"""Serves the files with which the web page works without the server.

The manifest lists them with their hashes, and is written on first demand, in a thread. The URL of
a file contains its hash, so browsers may cache it forever, and a page never mixes two models.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...errors import ServerError

_LOGGER = logging.getLogger(__name__)

MANIFEST = "manifest.json"
"""Name of the manifest in the folder, and in the URL."""

_CACHE_CONTROL = "public, max-age=31536000, immutable"
_HASH_LENGTH = 16  # hexadecimal digits of a file's SHA-256 in its URL
_MAX_DOWNLOADS = 8  # at the same time; a page downloads one file after the other
_TYPES = {".mjs": "text/javascript; charset=utf-8", ".wasm": "application/wasm"}
_MANIFEST_TIMEOUT = 1.0  # seconds that a request waits for the manifest


@dataclass(frozen=True, slots=True)
class OfflineFiles:
    """A folder with the files, and what writes them.

    Args:
        folder: with a manifest, once it is written.
        write: writes the folder unless it is there and current. Blocking; runs in a thread.
            Raises ServerError if it cannot.
    """

    folder: Path
    write: Callable[[], None]


class OfflineRoutes:
    """Serves the files. Lives on the event loop."""

    def __init__(self, files: OfflineFiles) -> None:
        self._files = files
        self._writing: asyncio.Task[None] | None = None
        self._paths: dict[tuple[str, str], Path] = {}  # by hash in the URL, and name
        self._manifest: dict[str, Any] | None = None  # None until it is written
        self._downloads = 0

    def routes(self) -> list[Route]:
        """Return the routes of the manifest and the files."""
        return [
            Route(f"/offline/{MANIFEST}", self._send_manifest),
            Route("/offline/files/{hash}/{name}", self._file),
        ]

    async def _send_manifest(self, request: Request) -> Response:
        if self._manifest is None:
            if self._writing is None:
                self._writing = asyncio.create_task(self._write())
            done, _ = await asyncio.wait([self._writing], timeout=_MANIFEST_TIMEOUT)
            if not done:
                return JSONResponse({"state": "preparing"}, 202, {"retry-after": "1"})
            failed, self._writing = self._writing.exception(), None
            if failed is not None:  # the next request tries again
                _LOGGER.warning("the page cannot be prepared for working offline: %s", failed)
                why = str(failed) if isinstance(failed, ServerError) else "see the server's log"
                return JSONResponse({"state": "failed", "error": why}, 503)
        return JSONResponse(self._manifest)

    async def _write(self) -> None:
        # Not a thread of the pool, because the thread lowers its own priority.
        pool = ThreadPoolExecutor(1)
        try:
            await asyncio.get_running_loop().run_in_executor(pool, self._files.write)
        finally:
            pool.shutdown(wait=False)
        path = self._files.folder / MANIFEST
        manifest = json.loads(await asyncio.to_thread(path.read_text, "utf-8"))
        self._paths = {
            (file["sha256"][:_HASH_LENGTH], file["name"]): self._files.folder / file["name"]
            for file in manifest["files"]
        }
        self._manifest = manifest

    async def _file(self, request: Request) -> Response:
        wanted = request.path_params["hash"], request.path_params["name"]
        path = self._paths.get(wanted)
        if path is None and self._manifest is None:
            # The server was restarted while a page downloads.
            await self._send_manifest(request)
            path = self._paths.get(wanted)
        if path is None:
            return JSONResponse({"error": "this file belongs to another version"}, 404)
        if self._downloads >= _MAX_DOWNLOADS:
            return JSONResponse({"error": "too many downloads"}, 503, {"retry-after": "2"})
        return _Counted(self, path)

    def count(self, change: int) -> None:
        """Count a download that begins (1) or ends (-1)."""
        self._downloads += change


class _Counted(FileResponse):
    """A file that counts as a download while it is sent."""

    def __init__(self, routes: OfflineRoutes, path: Path) -> None:
        media = _TYPES.get(path.suffix, "application/octet-stream")
        super().__init__(path, media_type=media, headers={"cache-control": _CACHE_CONTROL})
        self._routes = routes
        routes.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._routes.count(-1)
