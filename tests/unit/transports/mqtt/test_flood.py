from __future__ import annotations

from wyoming_faster_whisper.transports.mqtt.flood import MUTED_SECONDS, SiteRate
from wyoming_faster_whisper.transports.token_bucket import TokenBucket


def test_a_satellite_in_real_time_is_never_muted() -> None:
    rate = SiteRate()
    assert all(rate.frame(556, 0.016 * number) for number in range(20_000))


def test_two_seconds_of_a_slow_network_may_come_at_once() -> None:
    rate = SiteRate()
    assert all(rate.frame(556, 5.0) for _ in range(125))


def test_a_flood_mutes_the_site_for_a_while() -> None:
    rate = SiteRate()
    assert not all(rate.frame(556, 1.0) for _ in range(5000))
    assert rate.muted(1.0)
    assert rate.muted(1.0 + MUTED_SECONDS - 0.1)
    assert not rate.muted(1.0 + MUTED_SECONDS)
    assert rate.frame(556, 1.0 + MUTED_SECONDS)


def test_large_frames_flood_with_fewer_messages() -> None:
    rate = SiteRate()
    assert [rate.frame(64_000, 1.0) for _ in range(70)].count(True) == 62


def test_control_messages_are_limited() -> None:
    rate = SiteRate()
    assert [rate.control(1.0) for _ in range(200)].count(True) == 100
    assert rate.control(1.2)


def test_what_is_refused_does_not_empty_the_bucket_further() -> None:
    bucket = TokenBucket(per_second=10, at_once=10)
    assert sum(bucket.take(1, 0.0) for _ in range(1000)) == 10
    assert bucket.take(1, 0.1)
