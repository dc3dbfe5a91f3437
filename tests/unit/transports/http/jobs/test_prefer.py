"""The Prefer header, as RFC 7240 writes it."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.transports.http.jobs.prefer import Prefer, parse_prefer


@pytest.mark.parametrize(
    ("headers", "preferences"),
    [
        ([], Prefer()),
        ([""], Prefer()),
        (["respond-async"], Prefer(True)),
        (["Respond-Async"], Prefer(True)),
        (["respond-async, wait=10"], Prefer(True, 10)),
        (["respond-async,wait=10"], Prefer(True, 10)),
        (["wait=10", "respond-async"], Prefer(True, 10)),
        (['respond-async; foo="bar", wait = "10"'], Prefer(True, 10)),
        (["priority=5;x=1;y, respond-async"], Prefer(True)),
        (["return=minimal"], Prefer()),
        (["wait=10"], Prefer(False, 10)),
        (["wait=10, wait=20"], Prefer(False, 10)),
        (['respond-async=""'], Prefer(True)),
        (['foo="a, respond-async, b"; bar="c, respond-async", wait=1'], Prefer(False, 1)),
    ],
)
def test_the_preferences_of_a_request(headers: list[str], preferences: Prefer) -> None:
    assert parse_prefer(headers) == preferences


@pytest.mark.parametrize(
    "wait",
    ["wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "wait=1e9", "wait=٣", "wait=1 2"],
)
def test_a_malformed_wait_is_ignored(wait: str) -> None:
    assert parse_prefer([f"respond-async, {wait}"]) == Prefer(True)


@pytest.mark.parametrize(
    "header", ["respond async", "respond-async-not", "=respond-async", ";,=", '"']
)
def test_what_only_looks_like_a_preference_is_ignored(header: str) -> None:
    assert parse_prefer([header]) == Prefer()


def test_a_long_header_takes_linear_time() -> None:
    assert parse_prefer(["a=" + " " * 100_000 + "b c", "respond-async"]) == Prefer(True)
