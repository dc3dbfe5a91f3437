"""URLs of webhooks: which begin with a prefix, and which only seem to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.transports.http.jobs.webhook_urls import WebhookUrl

PREFIX = "https://hooks.example.org/stt"


def allowed(url: str, prefix: str = PREFIX) -> bool:
    return WebhookUrl.parse(url).begins_with(WebhookUrl.parse(prefix))


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        (PREFIX, PREFIX),
        (f"{PREFIX}/", PREFIX),
        (f"{PREFIX}/a/b-c_1?x=%2F..&y", PREFIX),
        (f"{PREFIX}?token=1", PREFIX),
        ("HTTPS://Hooks.Example.org:443/stt/a", PREFIX),
        ("https://hooks.example.org/any", "https://hooks.example.org"),
        ("https://hooks.example.org", "https://hooks.example.org/"),
        ("http://192.168.1.5:8123/api/webhook/x", "http://192.168.1.5:8123/api/webhook/"),
        ("http://[fd00::1]:8080/x", "http://[FD00::1]:8080"),
        ("http://home_assistant:8123/x", "http://home_assistant:8123"),
    ],
)
def test_a_url_with_the_path_of_a_prefix_or_one_below_is_allowed(url: str, prefix: str) -> None:
    assert allowed(url, prefix)


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("http://hooks.example.org/stt/a", PREFIX),
        ("https://hooks.example.org:8443/stt/a", PREFIX),
        ("https://hooks.example.org.evil.example/stt", PREFIX),
        ("https://evil.example/stt", PREFIX),
        ("https://hooks.example.org./stt", PREFIX),
        ("https://hooks.example.org/", PREFIX),
        ("https://hooks.example.org/sttevil", PREFIX),
        ("https://hooks.example.org/STT", PREFIX),
        ("https://hooks.example.org/stt", f"{PREFIX}/"),
        ("https://hooks.example.org//stt", PREFIX),
        ("http://127.1/x", "http://127.0.0.1"),
        ("http://2130706433/x", "http://127.0.0.1"),
    ],
)
def test_a_url_of_another_server_or_path_is_not_allowed(url: str, prefix: str) -> None:
    assert not allowed(url, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/stt",
        "hooks.example.org/stt",
        "ftp://hooks.example.org/stt",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:/hooks.example.org/stt",
        "https://hooks.example.org@evil.example/stt",
        "https://user:secret@hooks.example.org/stt",
        "https://hooks.example.org\\@evil.example/stt",
        "https://hooks.example.org\\.evil.example/stt",
        "https://hooks.example.org#@evil.example/stt",
        "https://hooks.example.org/stt#part",
        "https://hooks.example.org/stt/../admin",
        "https://hooks.example.org/stt/./a",
        "https://hooks.example.org/stt/..",
        "https://hooks.example.org/stt/%2e%2e/admin",
        "https://hooks.example.org/stt/..;/admin",
        "https://hooks.example.org/stt/..\\admin",
        "https://hooks.example.org:/stt",
        "https://hooks.example.org:99999/stt",
        "https://hooks.example.org:4٣/stt",
        "https://hooks.example.org:443:1/stt",
        "https:///stt",
        "https://-hooks.example.org/stt",
        "https://höoks.example.org/stt",
        "https://hooks.example.org/stt\r\nHost: evil.example",
        "https://hooks.example.org/stt?a\nb",
        " https://hooks.example.org/stt",
        "https://hooks.example.org/stt\n",
        "https://hooks.example.org/stt /a",
        "https://[fd00::1/stt",
        "https://hooks.example.org/stt/" + 2000 * "a",
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        WebhookUrl.parse(url)


@given(st.text("https:/.hooks-example.org@\\?#%2e;stt[]\r\n 0123456789", max_size=60))
def test_a_url_is_allowed_only_if_its_text_begins_with_the_prefix(url: str) -> None:
    try:
        found = allowed(url, "http://ho/st")
    except ValueError:
        return
    assert not found or url.lower().replace(":80", "", 1).startswith("http://ho/st")
