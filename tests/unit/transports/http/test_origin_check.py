"""Origin check: which pages may use the server."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.transports.http.origin_check import OriginCheck

GUARD = OriginCheck(["Kitchen-Pi", "kitchen-pi.local", "stt.example.org."])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "192.168.1.20",
        "[::1]:8080",
        "[fd00::20]",
        "kitchen-pi.local:8080",
        "kitchen-pi",
        "stt.example.org",
        "stt.example.org.:443",
    ],
)
def test_a_name_or_address_of_this_server_is_its_own_host(host: str) -> None:
    assert GUARD.is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:127.0.0.1",
        "user@localhost",
        "localhost:80; script-src *",
        "localhost:8080\r\n",
        "[::1",
        "[evil]",
        "::1",
        "localhost:port",
        "127.0.0.1.evil.example",
    ],
)
def test_another_name_is_not_its_own_host(host: str) -> None:
    assert not GUARD.is_own_host(host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8080", "localhost:8080"),
        ("https://stt.example.org", "STT.example.org"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_the_servers_own_page_may_connect(origin: str, host: str) -> None:
    assert GUARD.is_same_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", "localhost:8080"),
        ("null", "localhost:8080"),
        ("http://", ""),
        ("http://localhost", "localhost:8080"),
        ("http://localhost:9090", "localhost:8080"),
        ("http://evil.example", "localhost:8080"),
        ("http://localhost:8080@evil.example", "localhost:8080"),
        ("file://localhost:8080", "localhost:8080"),
        ("http://[::1", "[::1"),
    ],
)
def test_a_page_of_another_origin_may_not_connect(origin: str, host: str) -> None:
    assert not GUARD.is_same_origin(origin, host)
