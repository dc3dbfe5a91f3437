"""Open paths, and the scope that each other path needs."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.transports.auth.scopes import Scope
from wyoming_faster_whisper.transports.http.access import is_open, needed_scope


@pytest.mark.parametrize(
    "path",
    [
        *("/health", "/", "/page.js", "/page.css", "/capture.js", "/icon.svg"),
        *("/docs", "/openapi.json", "/swagger/swagger-ui.css"),
    ],
)
def test_the_page_health_and_docs_are_open(path: str) -> None:
    assert is_open("GET", path)
    assert is_open("HEAD", path)
    assert not is_open("POST", path)
    assert not is_open("", path), "as a WebSocket"


def test_preflights_are_open() -> None:
    assert is_open("OPTIONS", "/v1/audio/transcriptions")


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/models", "/about", "/speech", "/v1/audio/transcriptions", "/asr", "/v1/realtime"),
        *("/nothing", "/v1/health", "/health/", "//health", "/Health", "/docs/x", "/swagger"),
        *("/page.js/../v1/models", "/health;x", "/health\n", ""),
    ],
)
def test_every_other_path_needs_a_key(path: str) -> None:
    assert not is_open("GET", path)


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai/v1"])
def test_the_scope_follows_from_the_path(prefix: str) -> None:
    assert needed_scope("GET", f"{prefix}/models") is None
    assert needed_scope("GET", f"{prefix}/models/a/realtime") is None
    assert needed_scope("POST", f"{prefix}/audio/transcriptions") is Scope.TRANSCRIBE
    assert (
        needed_scope("GET", f"{prefix}/audio/transcriptions/trsc_1/content") is Scope.TRANSCRIBE
    )
    assert needed_scope("POST", f"{prefix}/realtime/client_secrets") is Scope.REALTIME
    assert needed_scope("", f"{prefix}/realtime") is Scope.REALTIME


def test_the_page_needs_a_key_for_its_own_routes() -> None:
    assert needed_scope("GET", "/about") is None
    assert needed_scope("", "/speech") is Scope.REALTIME


@pytest.mark.parametrize("path", ["/asr", "/detect-language", "/nothing", "/v1/modelsx"])
def test_a_path_that_is_not_listed_needs_the_scope_for_files(path: str) -> None:
    assert needed_scope("POST", path) is Scope.TRANSCRIBE
