"""Tuning of beam and batch size from the decode time of typical commands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from wyoming_faster_whisper.engine.whisper.tuning import BEAM, Limits, Tuned, Tuning


class Machine:
    """Simulated machine: returns decode times without decoding.

    Args:
        alone: seconds for one command.
        gain: cost of each further command in a batch, as a fraction of alone.
    """

    def __init__(self, alone: float, gain: float = 0.5) -> None:
        self.alone = alone
        self.gain = gain
        self.decoded: list[tuple[int, int]] = []
        self.most = 100  # largest batch that fits into memory

    def __call__(self, beam: int, commands: int) -> float:
        self.decoded.append((beam, commands))
        if commands > self.most:
            raise RuntimeError("CUDA failed with error out of memory")
        return self.alone * (1.0 if beam == BEAM else 0.8) * (1 + self.gain * (commands - 1))


def never() -> bool:
    return False


def after(questions: int) -> Callable[[], bool]:
    """Return a needed() that becomes true after that many calls."""
    asked = count()
    return lambda: next(asked) >= questions


@pytest.mark.parametrize(
    ("alone", "gain", "beam", "batch"),
    [(0.2, 0.5, BEAM, 6), (0.2, 1.0, BEAM, 1), (1.0, 0.5, 1, 6), (1.0, 1.0, 1, 1)],
)
def test_beam_and_batch_size_follow_from_the_measurement(
    alone: float, gain: float, beam: int, batch: int
) -> None:
    tuning = Tuning(Limits(6, more_seconds=9.0), Machine(alone, gain))
    assert tuning.measure(never) == Tuned(alone, beam, batch, again=False)
    assert (tuning.beam, tuning.batch) == (beam, batch)


def test_a_measurement_on_a_busy_machine_is_corrected_when_it_is_idle() -> None:
    machine = Machine(alone=2.0, gain=1.0)
    tuning = Tuning(Limits(6, more_seconds=9.0), machine)
    tuning.measure(never)
    assert (tuning.beam, tuning.batch) == (1, 1)
    machine.alone, machine.gain = 0.2, 0.5
    assert tuning.measure(never) == Tuned(0.2, BEAM, 6, again=True)
    assert (tuning.beam, tuning.batch) == (BEAM, 6)


def test_a_slow_machine_keeps_greedy_decoding_however_often_it_is_measured() -> None:
    tuning = Tuning(Limits(1, more_seconds=9.0), Machine(alone=1.0))  # 0.8 s with a beam of 1
    for again in (False, True, True):
        assert tuning.measure(never) == Tuned(1.0, 1, 1, again=again)


def test_a_later_measurement_on_a_busy_machine_changes_nothing() -> None:
    machine = Machine(alone=0.2)
    tuning = Tuning(Limits(6, more_seconds=9.0), machine)
    tuning.measure(never)
    machine.alone, machine.gain = 2.0, 1.0
    assert tuning.measure(never) is None
    assert (tuning.beam, tuning.batch) == (BEAM, 6)


def test_the_measurement_ends_when_the_model_is_needed() -> None:
    machine = Machine(alone=0.2)
    tuning = Tuning(Limits(6, more_seconds=9.0), machine)
    assert tuning.measure(after(2)) is None
    assert len(machine.decoded) == 2
    assert (tuning.beam, tuning.batch) == (BEAM, 2)


def test_a_batch_size_left_unmeasured_is_measured_the_next_time() -> None:
    machine = Machine(alone=0.2)
    tuning = Tuning(Limits(6, more_seconds=9.0), machine)
    assert tuning.measure(after(3)) == Tuned(0.2, BEAM, 2, again=False)
    machine.alone = 0.3
    assert tuning.measure(never) == Tuned(0.2, BEAM, 6, again=True)


def test_a_batch_too_large_for_the_memory_only_limits_the_batch_size() -> None:
    machine = Machine(alone=0.2)
    machine.most = 2
    tuning = Tuning(Limits(6, more_seconds=9.0), machine)
    tuning.measure(never)
    assert tuning.batch == 2


def test_a_model_that_cannot_decode_one_command_fails() -> None:
    machine = Machine(alone=0.2)
    machine.most = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        Tuning(Limits(6, more_seconds=9.0), machine).measure(never)


def test_a_batch_takes_at_most_so_much_longer_than_a_command() -> None:
    tuning = Tuning(Limits(8, more_seconds=0.25), Machine(alone=0.2))  # 0.3 s, 0.5 s, 0.9 s
    tuning.measure(never)
    assert tuning.batch == 2


def test_no_batch_is_tried_that_memory_has_no_room_for() -> None:
    machine = Machine(alone=0.2, gain=0.1)
    tuning = Tuning(Limits(32, has_room=lambda: machine.decoded[-1][1] < 4), machine)
    tuning.measure(never)
    assert tuning.batch == 4
    assert max(commands for _, commands in machine.decoded) == 4


def test_nothing_but_single_jobs_is_tried_while_memory_is_short() -> None:
    machine = Machine(alone=0.2, gain=0.1)
    tuning = Tuning(Limits(32, has_room=lambda: False), machine)
    tuning.measure(never)
    assert (tuning.batch, {commands for _, commands in machine.decoded}) == (1, {1})


def test_without_batches_only_the_time_of_a_command_is_measured() -> None:
    machine, long = Machine(alone=0.2), Machine(alone=1.0)
    tuning = Tuning(Limits(1), machine, long)
    assert [tuning.measure(never) for _ in range(2)] == [
        Tuned(0.2, BEAM, 1, again=False),
        Tuned(0.2, BEAM, 1, again=True, long_batch=1),
    ]
    assert (machine.decoded, long.decoded) == ([(BEAM, 1)] * 6, [])


def test_batches_of_long_jobs_are_measured_while_nobody_waits_for_the_start() -> None:
    long = Machine(alone=1.0, gain=0.1)
    tuning = Tuning(Limits(8, more_seconds=0.25), Machine(alone=0.2, gain=1.0), long)
    tuning.measure(never)
    assert (tuning.batch, tuning.long_batch, long.decoded) == (1, 1, [])
    tuning.measure(never)
    assert (tuning.batch, tuning.long_batch) == (1, 2)  # 1.1 s, 1.3 s


def test_with_other_decoders_free_nobody_waits_for_a_batch_of_long_jobs() -> None:
    long = Machine(alone=1.0, gain=0.1)
    tuning = Tuning(Limits(8), Machine(alone=0.2), long, alone=False)
    for _ in range(2):
        tuning.measure(never)
    assert tuning.long_batch == 8


def test_slow_long_jobs_are_decoded_one_at_a_time() -> None:
    long = Machine(alone=5.0, gain=0.1)
    tuning = Tuning(Limits(8), Machine(alone=0.2), long, alone=False)
    for _ in range(3):
        tuning.measure(never)
    assert (tuning.long_batch, len(long.decoded)) == (1, 2)


def test_the_sizes_of_an_earlier_start_hold_until_they_are_measured() -> None:
    tuning = Tuning(Limits(8, commands=6, long=3), Machine(alone=0.2), Machine(alone=1.0))
    assert (tuning.batch, tuning.long_batch) == (6, 3)
    assert (Tuning(Limits(4, commands=6, long=9), Machine(0.2)).long_batch) == 4
