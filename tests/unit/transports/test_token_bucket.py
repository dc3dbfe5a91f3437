"""Limit of messages per second: clients that are delayed. test_flood.py tests refusals."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.transports.token_bucket import TokenBucket


def sent(rate: TokenBucket, count: int, *, every: float) -> float:
    """Send messages at a fixed pace; return the seconds that the client had to wait."""
    now = waited = 0.0
    for _ in range(count):
        delay = rate.delay(1, now)
        waited += delay
        now += delay + every
    return waited


def test_a_burst_is_read_at_once() -> None:
    assert sent(TokenBucket(10, 50), 50, every=0.0) == 0.0


def test_beyond_the_burst_messages_are_read_at_the_average_rate() -> None:
    assert sent(TokenBucket(10, 50), 150, every=0.0) == pytest.approx(10.0)


def test_a_client_that_keeps_to_the_rate_never_waits() -> None:
    assert sent(TokenBucket(10, 1), 1000, every=0.1) == pytest.approx(0.0)


def test_a_pause_allows_another_burst_but_no_larger_one() -> None:
    rate = TokenBucket(10, 50)
    assert sent(rate, 50, every=0.0) == 0.0
    now = 1000.0
    waited = [rate.delay(1, now) for _ in range(52)]
    assert waited[:50] == pytest.approx([0.0] * 50, abs=1e-6)
    assert waited[51] == pytest.approx(0.2)
