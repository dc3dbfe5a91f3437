"""Refusing work before the memory of the process is used up."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.errors import Overloaded
from wyoming_faster_whisper.session.memory_guard import MemoryGuard

MB = 1_000_000


class Machine:
    """A process whose memory a test sets."""

    def __init__(self, freeable: int = 0) -> None:
        self.used, self.freeable, self.now = 500 * MB, freeable, 0.0
        self.trims = self.readings = 0
        self.guard = MemoryGuard(
            1000 * MB, resident=self.resident, trim=self.trim, clock=lambda: self.now
        )

    def resident(self) -> int:
        self.readings += 1
        return self.used

    def trim(self) -> None:
        self.trims += 1
        self.used -= self.freeable
        self.freeable = 0

    def uses(self, megabytes: int) -> None:
        self.used, self.now = megabytes * MB, self.now + 10


def test_new_work_is_refused_before_audio_of_work_that_has_begun() -> None:
    machine = Machine()
    machine.uses(900)
    machine.guard.check_new()
    machine.uses(901)
    machine.guard.check_audio()
    with pytest.raises(Overloaded, match="uses 901 MB of memory and may use 1000"):
        machine.guard.check_new()
    machine.uses(951)
    with pytest.raises(Overloaded):
        machine.guard.check_audio()
    machine.uses(800)
    machine.guard.check_new()


def test_freed_memory_is_returned_to_the_system_first_at_most_once_a_second() -> None:
    machine = Machine(freeable=200 * MB)
    machine.uses(990)
    machine.guard.check_new()
    assert (machine.trims, machine.used) == (1, 790 * MB)
    for _ in range(9):
        machine.used, machine.now = 990 * MB, machine.now + 0.1
        with pytest.raises(Overloaded):
            machine.guard.check_new()
    assert machine.trims == 1


def test_the_memory_is_not_measured_for_every_piece_of_audio() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.guard.check_audio()
    assert machine.readings == 1


def test_without_a_limit_nothing_is_measured_or_refused() -> None:
    machine = Machine()
    guard = MemoryGuard(0, resident=machine.resident)
    guard.check_new()
    guard.check_audio()
    assert machine.readings == 0
