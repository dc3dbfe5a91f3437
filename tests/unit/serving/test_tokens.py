"""The bearer tokens that a decode server requires."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.serving.tokens import Tokens

INFER = "/v2/models/base/infer"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n\nn3xt\n")
    return path


@pytest.mark.parametrize("value", ["Bearer s3cret", "bearer n3xt", "Bearer  s3cret "])
def test_a_request_with_one_of_the_tokens_is_admitted(file: Path, value: str) -> None:
    assert Tokens(file).refusal(INFER, {"authorization": value}) is None


@pytest.mark.parametrize(
    "value",
    [None, "", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Basic s3cret", "Bearer s3crét"],
)
@pytest.mark.parametrize("path", [INFER, "/v2/models/base", "/v2", "/", "/v2/health/live/x"])
def test_other_requests_are_refused(file: Path, path: str, value: str | None) -> None:
    headers = {} if value is None else {"authorization": value}
    reply = Tokens(file).refusal(path, headers)
    assert reply is not None
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.body == b'{"error": "the token is missing or wrong"}'


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_the_health_of_the_server_needs_no_token(file: Path, path: str) -> None:
    assert Tokens(file).refusal(path, {}) is None


def test_a_changed_file_takes_effect(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = Tokens(file)
    new = file.with_name("new")
    new.write_text("other")
    new.replace(file)
    tokens.refresh()
    assert tokens.refusal(INFER, {"authorization": "Bearer other"}) is None
    assert tokens.refusal(INFER, {"authorization": "Bearer s3cret"}) is not None
    file.unlink()
    for _ in range(2):
        tokens.refresh()
    assert tokens.refusal(INFER, {"authorization": "Bearer other"}) is None
    [warning] = caplog.messages
    assert warning == f"token_file {file} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "has no token"),
        (b" \n\n", "has no token"),
        (b"\xff", "is not UTF-8 text"),
        (b"two words\n", "has a token with a space or a character that is not ASCII"),
        ("s3crét".encode(), "has a token with a space or a character that is not ASCII"),
    ],
)
def test_a_file_without_a_token_is_an_error(
    tmp_path: Path, content: bytes | None, error: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingError) as raised:
        Tokens(path)
    assert str(raised.value) == f"token_file {path} {error}"
