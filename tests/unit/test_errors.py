"""Errors: their class, by what the system call reported, and how to install an extra."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import ssl
import sys
from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import (
    ServerError,
    SettingError,
    install_command,
    not_listening,
    request_failure,
)

_UNNUMBERED = OSError("could not bind on any address out of [('192.0.2.1', 10300)]")


@pytest.mark.parametrize(
    ("error", "kind", "why"),
    [
        (OSError(errno.EADDRINUSE, "text of asyncio"), SettingError, errno.EADDRINUSE),
        (OSError(errno.EADDRNOTAVAIL, "text of asyncio"), ServerError, errno.EADDRNOTAVAIL),
        (_UNNUMBERED, ServerError, errno.EADDRNOTAVAIL),  # asyncio of Python 3.13
    ],
)
def test_only_an_address_that_the_machine_lacks_may_be_tried_again(
    error: OSError, kind: type[ServerError], why: int
) -> None:
    raised = not_listening("tcp://192.0.2.1:10300", error, "--uri")
    assert type(raised) is kind
    assert str(raised) == (
        f"cannot listen on tcp://192.0.2.1:10300: {os.strerror(why)}; see --uri"
    )


@pytest.mark.parametrize(
    ("error", "kind"), [(socket.EAI_AGAIN, ServerError), (socket.EAI_NONAME, SettingError)]
)
def test_only_a_name_that_cannot_be_resolved_yet_may_be_tried_again(
    error: int, kind: type[ServerError]
) -> None:
    raised = not_listening("tcp://stt.lan:10300", socket.gaierror(error, "no such name"), "--uri")
    assert type(raised) is kind
    assert str(raised) == "cannot listen on tcp://stt.lan:10300: no such name; see --uri"


def test_a_unix_socket_whose_path_is_too_long_is_a_mistake_of_the_operator() -> None:
    path = "/" + 200 * "x"
    too_long = pytest.raises(OSError, match="too long")
    with socket.socket(socket.AF_UNIX) as unix, too_long as raised:
        unix.bind(path)
    error = not_listening(f"unix://{path}", raised.value, "--uri")
    assert isinstance(error, SettingError)
    assert str(error) == f"cannot listen on unix://{path}: AF_UNIX path too long; see --uri"


def test_an_extra_is_installed_by_what_this_python_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, package = shlex.quote(sys.executable), "'wyoming-faster-whisper[bench]'"
    monkeypatch.setitem(sys.modules, "pip", type(sys)("pip"))
    sys.modules["pip"].__spec__ = sys.__spec__
    assert install_command("bench") == f"{python} -m pip install {package}"
    monkeypatch.setitem(sys.modules, "pip", None)  # as in the images
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install_command("bench") == (
        "this Python has no pip; build the image with the extra bench "
        "(--build-arg EXTRAS, see docs/packages.md)"
    )
    (tmp_path / "uv").touch(mode=0o755)
    assert install_command("bench") == f"uv pip install --python {python} {package}"


def failed_handshake() -> ssl.SSLError:
    """Return the error of a TLS handshake with a peer that does not speak TLS."""
    client = ssl.create_default_context().wrap_bio(peer := ssl.MemoryBIO(), ssl.MemoryBIO())
    peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError) as raised:
        client.do_handshake()
    return raised.value


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "unknown name"), "unknown name"),
        (TimeoutError(), "it did not answer in time"),
        (failed_handshake(), "all attempts failed"),
        (ValueError("not HTTP"), "all attempts failed"),
        (None, "all attempts failed"),
    ],
)
def test_the_reason_of_a_failed_request_is_the_systems(cause: Exception | None, why: str) -> None:
    error = RuntimeError("all attempts failed")
    error.__cause__ = cause
    assert request_failure(error) == why
    if cause is not None:
        cause.__context__ = KeyError("address")
        assert request_failure(error) == why
        outer = RuntimeError("all attempts failed")
        outer.__context__ = error
        assert request_failure(outer) == why


def test_the_reason_is_found_in_a_ring_of_errors() -> None:
    """As Python leaves it where an error is raised again while its wrapper is handled."""
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")
    error = RuntimeError("all attempts failed")
    error.__cause__, refused.__context__ = refused, error
    assert request_failure(error) == "Connection refused"
