"""Access rules: the paths that need a key, and the scope of each. Pure.

A path that is not listed as open needs a key, so a new route is never open by mistake.
"""

from __future__ import annotations

import re

from ..auth.scopes import Scope

PREFIXES = ("/v1", "", "/openai/v1")
"""Prefixes under which the API is served: with and without /v1, because users enter base URLs
with and without it, and the prefix that Groq's client appends to its base URL."""

PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8")
        for name in ("capture", "offline", "worker", "whisper", "mel", "silero", "resample", "sw")
    },
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Paths of the web page's files, each with the file's name and type."""

_OPEN = {*PAGE_FILES, "/health", "/docs", "/openapi.json"}
_OPEN_FOLDER = "/swagger/"  # the files of /docs
_PREFIX = "|".join(PREFIXES)
_ANY_CLIENT = re.compile(rf"(?:{_PREFIX})/models(?:/.*)?|/about", re.DOTALL)
_REALTIME = re.compile(rf"(?:{_PREFIX})/realtime(?:/.*)?", re.DOTALL)


def is_open(method: str, path: str) -> bool:
    """Return whether a request needs no key.

    Args:
        method: in upper case; "" for a WebSocket.
        path: decoded, as it is used for routing.
    """
    if method == "OPTIONS":  # a preflight never has a key
        return True
    return method in ("GET", "HEAD") and (path in _OPEN or path.startswith(_OPEN_FOLDER))


def needed_scope(method: str, path: str) -> Scope | None:
    """Return the scope that a request needs; None if every known client may send it."""
    if not method or _REALTIME.fullmatch(path):
        return Scope.REALTIME
    return None if _ANY_CLIENT.fullmatch(path) else Scope.TRANSCRIBE
