"""Memory for recordings, which tenants share."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.session.audio_memory import AudioMemory
from wyoming_faster_whisper.tenant import HOUSE, Tenant

GREEDY = Tenant(name="greedy", named=True, shares=True)
OTHER = Tenant(name="other", named=True, shares=True)


def fill(memory: AudioMemory, tenant: Tenant) -> int:
    """Reserve as many samples as a tenant gets; return their number."""
    part, count = memory.of(tenant), 0
    while True:
        try:
            part.reserve(1)
        except Busy:
            return count
        count += 1


def test_without_other_tenants_the_house_may_use_everything() -> None:
    memory = AudioMemory(limit=200)
    memory.of(HOUSE).reserve(100)
    with pytest.raises(Busy, match="200 bytes of audio are waiting already"):
        memory.of(HOUSE).reserve(1)


def test_a_tenant_leaves_as_much_as_it_takes() -> None:
    memory = AudioMemory(limit=1200)
    assert fill(memory, GREEDY) == 300
    assert fill(memory, OTHER) == 150
    memory.of(GREEDY).release(300)
    assert fill(memory, OTHER) == 150


def test_what_is_released_is_free_again() -> None:
    memory = AudioMemory(limit=1200)
    part = memory.of(GREEDY)
    for _ in range(5):
        part.reserve(300)
        part.release(300)
    assert memory.used == 0
    assert memory._tenants == {}
