"""Which jobs go to the model next."""

from __future__ import annotations

from wyoming_faster_whisper.engine.base import DecodeOptions, Job
from wyoming_faster_whisper.engine.scheduler import next_batch
from wyoming_faster_whisper.testing import silence


def job(language: str = "en", *, guess: bool = False) -> Job:
    return Job(silence(0.1), DecodeOptions(language=language), guess=guess)


def test_where_nobody_waits_nobody_goes() -> None:
    assert next_batch([], 4) == []


def test_the_first_to_come_is_the_first_to_go() -> None:
    waiting = [job() for _ in range(3)]
    assert next_batch(waiting, 1) == waiting[:1]


def test_finals_go_before_guesses() -> None:
    guess, final = job(guess=True), job()
    assert next_batch([guess, final], 1) == [final]
    assert next_batch([guess, final], 2) == [final, guess]


def test_a_batch_has_one_kind_of_options() -> None:
    first, german, third = job(), job("de"), job()
    assert next_batch([first, german, third], 8) == [first, third]
    assert next_batch([german, first, third], 8) == [german]


def test_a_batch_is_no_larger_than_allowed() -> None:
    waiting = [job() for _ in range(10)]
    assert next_batch(waiting, 4) == waiting[:4]


def test_the_queue_is_left_as_it_was() -> None:
    waiting = [job(guess=True), job()]
    before = list(waiting)
    next_batch(waiting, 2)
    assert waiting == before


def test_jobs_are_told_apart_by_identity() -> None:
    assert job() != job()
    assert job().seconds == 0.1
