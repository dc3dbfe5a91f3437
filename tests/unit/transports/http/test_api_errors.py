"""Errors of the HTTP API."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper import errors
from wyoming_faster_whisper.errors import (
    AudioError,
    Busy,
    EngineError,
    Hung,
    ModelError,
    NoMemory,
    NotAllowed,
    ProtocolError,
    ServerError,
    SettingError,
    Stopping,
    StorageError,
    TooSlow,
)
from wyoming_faster_whisper.transports.auth.refusal import Reason, Refused, TokenExpired
from wyoming_faster_whisper.transports.http.api_errors import (
    ApiError,
    error_body,
    error_headers,
    from_server_error,
)


def test_the_error_object_has_all_four_keys() -> None:
    assert error_body(ApiError(401, "no key", code="invalid_api_key")) == {
        "error": {
            "message": "no key",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


@pytest.mark.parametrize(
    ("error", "status", "type", "code"),
    [
        (AudioError("no audio stream"), 400, "invalid_request_error", "unsupported_value"),
        (ProtocolError("half a frame"), 400, "invalid_request_error", "invalid_request"),
        (NotAllowed("address"), 403, "permission_error", "insufficient_permissions"),
        (TooSlow("30 s"), 408, "invalid_request_error", "request_timeout"),
        (Busy("64 jobs"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (Stopping(), 503, "server_error", "server_stopping"),
        (EngineError("failed"), 500, "server_error", "engine_error"),
        (Hung("60 s"), 500, "server_error", "engine_error"),
        (ModelError("damaged"), 503, "server_error", "model_not_ready"),
        (NoMemory("2 GB"), 503, "server_error", "model_not_ready"),
        (StorageError("disk full"), 503, "server_error", "storage_full"),
        (SettingError("--beam-size"), 500, "server_error", "internal_error"),
    ],
)
def test_an_error_of_the_server_has_a_status_and_a_code(
    error: ServerError, status: int, type: str, code: str
) -> None:
    answer = from_server_error(error)
    assert (answer.status, answer.type, answer.code) == (status, type, code)
    assert answer.message == str(error)


def test_every_error_of_the_server_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    server_errors = [kind for kind in kinds if issubclass(kind, ServerError)]
    assert len(server_errors) > 10
    assert {from_server_error(kind("x")).status for kind in server_errors} <= {
        *(400, 401, 403, 408, 429, 500, 503)
    }


def test_undecodable_audio_is_the_file_s_fault() -> None:
    assert from_server_error(AudioError("no audio stream")).param == "file"


@pytest.mark.parametrize(
    ("seconds", "header"), [(-1, "1"), (0.2, "1"), (3, "3"), (3.1, "4"), (3600, "60")]
)
def test_retry_after_is_a_whole_number_of_seconds(seconds: float, header: str) -> None:
    error = from_server_error(Busy("64 jobs"), retry_after=seconds)
    assert error_headers(error) == {"Retry-After": header}


def test_only_a_status_that_passes_has_a_retry_after() -> None:
    assert error_headers(from_server_error(AudioError("noise"), retry_after=5)) == {}
    assert error_headers(from_server_error(EngineError("failed"), retry_after=5)) == {}
    assert error_headers(from_server_error(NoMemory("2 GB"), retry_after=5)) == {
        "Retry-After": "5"
    }


def test_a_decode_that_hung_is_not_to_be_repeated() -> None:
    assert error_headers(from_server_error(Hung("60 s"))) == {"x-should-retry": "false"}


def test_a_retry_can_be_asked_for() -> None:
    assert error_headers(ApiError(500, "x", should_retry=True)) == {"x-should-retry": "true"}


def test_a_token_that_expires_ends_a_session_as_at_openai() -> None:
    assert from_server_error(TokenExpired()).code == "session_expired"
    deleted = Refused(Reason.REVOKED, "deleted")
    assert from_server_error(deleted).code == "invalid_api_key"
    assert from_server_error(deleted).status == 401
