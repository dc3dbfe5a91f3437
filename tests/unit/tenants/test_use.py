"""What tenants use: requests at the same time, and audio in a minute."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.tenant import HOUSE, Tenant
from wyoming_faster_whisper.tenants.use import TenantUse

GUESTS = Tenant(name="guests", named=True, requests=2, audio_per_minute=30.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_requests_at_the_same_time_are_limited() -> None:
    use = TenantUse()
    first, _ = use.begin(GUESTS), use.begin(GUESTS)
    with pytest.raises(Busy, match="2 requests in progress already"):
        use.begin(GUESTS)
    first()
    first()  # ends once
    use.begin(GUESTS)
    with pytest.raises(Busy):
        use.begin(GUESTS)


def test_a_request_ends_with_its_context_also_by_an_error() -> None:
    use = TenantUse()
    for _ in range(3):
        with pytest.raises(KeyError), use.request(GUESTS):
            raise KeyError
    assert repr(use) == "<TenantUse {}>"


def test_without_limits_everything_is_allowed() -> None:
    use = TenantUse()
    for _ in range(1000):
        use.begin(HOUSE)
        use.charge_audio(HOUSE, 1e6)
        use.check_audio(HOUSE)


def test_audio_beyond_the_budget_is_missing_afterwards() -> None:
    clock, refused = Clock(), []
    use = TenantUse(clock, lambda tenant, limit: refused.append((tenant.name, limit)))
    use.check_audio(GUESTS)
    use.charge_audio(GUESTS, 45.0)  # 15 s more than a minute has
    with pytest.raises(Busy, match=r"30 s of audio a minute are used up; try again in 32 s") as e:
        use.check_audio(GUESTS)
    assert e.value.retry_after == 32
    clock.now += 31.9
    with pytest.raises(Busy):
        use.check_audio(GUESTS)
    clock.now += 0.1
    use.check_audio(GUESTS)
    assert refused == [("guests", "audio")] * 2


def test_a_tenant_that_sends_nothing_has_one_minute_left_and_no_more() -> None:
    clock = Clock()
    use = TenantUse(clock)
    use.charge_audio(GUESTS, 1.0)
    clock.now += 1e6
    use.charge_audio(GUESTS, 30.0)
    with pytest.raises(Busy):
        use.check_audio(GUESTS)


def test_the_tenants_of_a_new_file_are_remembered_and_others_forgotten() -> None:
    use = TenantUse(Clock())
    use.charge_audio(GUESTS, 99.0)
    use.keep({"guests"})
    with pytest.raises(Busy):
        use.check_audio(GUESTS)
    use.keep({"others"})
    use.check_audio(GUESTS)
