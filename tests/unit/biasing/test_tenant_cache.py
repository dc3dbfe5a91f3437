"""Caches with a part for each tenant."""

from __future__ import annotations

from wyoming_faster_whisper.biasing.tenant_cache import TenantCache


def test_a_tenant_evicts_only_its_own_values() -> None:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text.upper()

    cache = TenantCache(make, 2)
    assert cache("house", "lamp") == "LAMP"
    for at in range(100):
        cache("guests", f"word {at}")
    assert cache("house", "lamp") == "LAMP"
    assert made.count("lamp") == 1


def test_the_values_of_a_tenant_are_not_found_by_another() -> None:
    made: list[str] = []
    cache = TenantCache(lambda text: made.append(text), 2)
    cache("house", "lamp")
    cache("guests", "lamp")
    assert made == ["lamp", "lamp"]


def test_the_cache_is_bounded_with_any_number_of_tenants() -> None:
    made: list[int] = []
    cache = TenantCache(lambda number: made.append(number), 2)
    for number in range(10_000):
        cache(f"tenant {number}", number)
    made.clear()
    cache("tenant 0", 0)
    assert made == [0]
