"""Scheduling: which jobs are decoded next."""

from __future__ import annotations

from collections.abc import Hashable

from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job
from wyoming_faster_whisper.engine.scheduler import Waiting, next_batch
from wyoming_faster_whisper.testing import silence


def job(
    language: str = "en", *, seconds: float = 1.0, guess: bool = False, owner: Hashable = None
) -> Job:
    kind = DecodeKind.GUESS if guess else DecodeKind.FINAL
    return Job(silence(seconds), DecodeOptions(language=language), kind=kind, owner=owner)


def chosen(*waiting: Job | tuple[float, Job], batch: int = 1) -> list[Job]:
    """Choose the next batch; jobs are in order of arrival, at time 0 or at their given time."""
    arrived = [
        Waiting(one[1], one[0]) if isinstance(one, tuple) else Waiting(one, 0.0)
        for one in waiting
    ]
    return next_batch(arrived, batch, lambda one: one.options)


def test_an_empty_queue_gives_an_empty_batch() -> None:
    assert chosen(batch=4) == []


def test_jobs_are_decoded_in_order_of_arrival() -> None:
    waiting = [job() for _ in range(3)]
    assert chosen(*waiting) == waiting[:1]


def test_finals_go_before_guesses() -> None:
    guess, final = job(guess=True), job()
    assert chosen((0.0, guess), (9.0, final)) == [final]


def test_a_final_does_not_share_its_batch_with_a_guess() -> None:
    guess, final = job(guess=True), job()
    assert chosen(guess, final, batch=2) == [final]


def test_guesses_share_a_batch() -> None:
    guesses = [job(guess=True), job(guess=True)]
    assert chosen(*guesses, batch=2) == guesses


def test_all_jobs_of_a_batch_have_the_same_options() -> None:
    first, german, third = job(), job("de"), job()
    assert chosen(first, german, third, batch=8) == [first, third]
    assert chosen(german, first, third, batch=8) == [german]


def test_a_batch_is_no_larger_than_allowed() -> None:
    waiting = [job() for _ in range(10)]
    assert chosen(*waiting, batch=4) == waiting[:4]


def test_a_command_goes_before_a_long_segment_that_arrived_a_little_earlier() -> None:
    segment, command = job(seconds=28), job(seconds=2)
    assert chosen((0.0, segment), (2.5, command)) == [command]


def test_a_long_segment_is_not_delayed_forever() -> None:
    segment, command = job(seconds=28), job(seconds=2)
    assert chosen((0.0, segment), (2.7, command)) == [segment]


def test_jobs_of_one_client_alternate_with_those_of_others() -> None:
    many = [job(owner="a") for _ in range(3)]
    other = job(owner="b")
    waiting = [*((0.0, one) for one in many), (1.0, other)]
    assert chosen(*waiting, batch=8) == [many[0], other, many[1], many[2]]


def test_choosing_a_batch_does_not_change_the_queue() -> None:
    waiting = [Waiting(job(guess=True), 0.0), Waiting(job(), 0.0)]
    before = list(waiting)
    next_batch(waiting, 2, lambda one: one.options)
    assert waiting == before


def test_jobs_are_compared_by_identity() -> None:
    assert job() != job()
    assert job().seconds == 1.0


def test_each_further_job_of_an_owner_is_handicapped_by_two_seconds() -> None:
    many = [job(owner="a") for _ in range(3)]
    other = job(owner="b")
    waiting = [*((0.0, one) for one in many), (3.0, other)]
    assert chosen(*waiting, batch=8) == [many[0], many[1], other, many[2]]
