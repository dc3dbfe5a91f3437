from __future__ import annotations

from wyoming_faster_whisper.transports.mqtt.backoff import Backoff


def test_delays_grow_to_half_a_minute() -> None:
    backoff = Backoff(lambda: 1.0)
    delays = [backoff.delay(None) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_takes_up_to_half_of_a_delay() -> None:
    assert Backoff(lambda: 0.0).delay(None) == 0.25


def test_a_connection_that_lasted_begins_anew() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.delay(None)
    assert backoff.delay(100.0) == 0.5


def test_a_connection_that_is_lost_at_once_does_not() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.delay(None)
    assert backoff.delay(1.0) == 16
