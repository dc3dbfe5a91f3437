"""The queue in front of the model, with an engine that decodes when the test releases it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from wyoming_faster_whisper.engine.protocol import (
    DecodeKind,
    DecodeOptions,
    Engine,
    Job,
    Transcript,
)
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.errors import Busy, EngineError, Hung, ModelError, NoMemory, Stopping
from wyoming_faster_whisper.tenant import Tenant
from wyoming_faster_whisper.testing import FakeEngine, silence

pytestmark = pytest.mark.timeout(20)


def job(seconds: float = 1.0, *, guess: bool = False, language: str = "en") -> Job:
    kind = DecodeKind.GUESS if guess else DecodeKind.FINAL
    return Job(silence(seconds), DecodeOptions(language=language), kind=kind)


@asynccontextmanager
async def working(engine: FakeEngine, *, max_waiting: int = 64) -> AsyncIterator[Worker]:
    """Run a worker whose model is loaded."""
    worker = Worker(lambda: engine, max_waiting=max_waiting)
    worker.start()
    await worker.ready()
    try:
        yield worker
    finally:
        engine.release()
        await worker.close()


async def submitted(worker: Worker, *jobs: Job) -> list[asyncio.Task[Transcript]]:
    """Submit jobs in this order; on return each is queued or being decoded."""
    tasks = [asyncio.create_task(worker.submit(one)) for one in jobs]
    await asyncio.sleep(0)
    return tasks


async def test_a_job_is_answered() -> None:
    async with working(FakeEngine()) as worker:
        assert await worker.submit(job(1.5)) == Transcript("1.5 seconds", "en")
        assert worker.statistics().decoded == 1


async def test_finals_are_decoded_before_guesses() -> None:
    engine = FakeEngine(held=True)
    running, guess, final, later = job(), job(guess=True), job(), job()
    async with working(engine) as worker:
        tasks = await submitted(worker, running, guess, final, later)
        engine.release()
        await asyncio.gather(*tasks)
    assert engine.decoded == [running, final, later, guess]


async def test_waiting_jobs_with_equal_options_are_decoded_in_one_batch() -> None:
    engine = FakeEngine(held=True, max_batch=2)
    async with working(engine) as worker:
        tasks = await submitted(worker, job(1), job(2), job(3, language="de"), job(4))
        assert (worker.statistics().decoding, worker.statistics().waiting) == (1, 3)
        assert repr(worker) == "<Worker ready, 3 waiting, 1 decoding>"
        engine.release()
        answers = await asyncio.gather(*tasks)
    assert [answer.text[0] for answer in answers] == ["1", "2", "3", "4"]
    assert [one.seconds for one in engine.decoded] == [1, 2, 4, 3]


async def test_a_job_is_rejected_when_the_queue_is_full() -> None:
    engine = FakeEngine(held=True)
    async with working(engine, max_waiting=2) as worker:
        tasks = await submitted(worker, job(), job(), job())
        with pytest.raises(Busy, match=r"^the queue is full \(2 jobs\); try again later$"):
            await worker.submit(job())
        engine.release()
        assert len(await asyncio.gather(*tasks)) == 3
        await worker.submit(job())


async def test_a_queue_full_of_long_jobs_still_takes_a_command() -> None:
    engine = FakeEngine(held=True)
    async with working(engine, max_waiting=2) as worker:
        tasks = await submitted(worker, job(28), job(28), job(28), job())
        with pytest.raises(Busy, match=r"^the queue is full \(2 jobs\); try again later$"):
            await worker.submit(job(28))
        engine.release()
        assert len(await asyncio.gather(*tasks)) == 4


async def test_a_withdrawn_job_is_never_decoded() -> None:
    engine = FakeEngine(held=True)
    running, withdrawn, last = job(), job(), job()
    async with working(engine) as worker:
        tasks = await submitted(worker, running, withdrawn, last)
        assert worker.is_waiting(withdrawn)
        assert not worker.is_waiting(running)
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert not worker.is_waiting(withdrawn)
        engine.release()
        await asyncio.gather(tasks[0], tasks[2])
        assert worker.statistics().withdrawn == 1
    assert engine.decoded == [running, last]


async def test_the_text_of_a_job_withdrawn_during_its_decode_is_dropped() -> None:
    engine = FakeEngine(held=True)
    async with working(engine) as worker:
        tasks = await submitted(worker, job(), job(2))
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        engine.release()
        assert (await tasks[1]).text == "2.0 seconds"
        assert worker.statistics().decoded == 1
        assert worker.statistics().withdrawn == 0
    assert len(engine.decoded) == 2


def say_or_fail(one: Job) -> str:
    if one.seconds == 1:
        raise EngineError("the model failed on this audio: out of memory")
    if one.seconds == 2:
        raise ZeroDivisionError("secret")
    return "fine"


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (1, "the model failed on this audio: out of memory"),
        (2, "the model failed on this audio: ZeroDivisionError"),
    ],
)
async def test_the_next_job_works_after_the_model_failed(seconds: float, sentence: str) -> None:
    async with working(FakeEngine(say_or_fail)) as worker:
        with pytest.raises(EngineError) as caught:
            await worker.submit(job(seconds))
        assert str(caught.value) == sentence
        assert (await worker.submit(job(3))).text == "fine"


async def test_a_failed_batch_fails_each_job_in_it() -> None:
    engine = FakeEngine(say_or_fail, held=True, max_batch=2)
    async with working(engine) as worker:
        tasks = await submitted(worker, job(3), job(3), job(1), job(3))
        engine.release()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(answer, EngineError) for answer in answers] == [False, True, True, False]


async def test_each_job_is_reported_with_its_wait_when_it_begins() -> None:
    engine = FakeEngine(held=True, max_batch=2)
    begun: list[tuple[DecodeKind, float]] = []
    worker = Worker(lambda: engine, on_begun=lambda kind, seconds: begun.append((kind, seconds)))
    worker.start()
    await worker.ready()
    tasks = await submitted(worker, job(), job(guess=True), job(), job(), job())
    withdrawn = tasks.pop()
    withdrawn.cancel()
    await asyncio.wait([withdrawn])
    assert [kind for kind, _ in begun] == [DecodeKind.FINAL]
    engine.release()
    first, guess, *later = await asyncio.gather(*tasks)
    finals = [(DecodeKind.FINAL, answer.queued) for answer in (first, *later)]
    assert begun == [*finals, (DecodeKind.GUESS, guess.queued)]
    await worker.close()


async def test_each_decode_is_reported_with_its_kind() -> None:
    engine = FakeEngine(say_or_fail, held=True, max_batch=2)
    seen: list[DecodeKind] = []
    worker = Worker(lambda: engine, on_decoded=lambda kind, seconds: seen.append(kind))
    worker.start()
    await worker.ready()
    partial = replace(job(3), kind=DecodeKind.PARTIAL)
    tasks = await submitted(
        worker, job(3, guess=True), partial, job(3, guess=True), job(3), job(1)
    )
    engine.release()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The finals share a batch, which fails, and so do the partial and the second guess.
    assert seen == [DecodeKind.GUESS, DecodeKind.FINAL, DecodeKind.PARTIAL]
    await worker.close()


async def test_a_hung_decode_is_not_reported() -> None:
    hung = FakeEngine(held=True)
    engines = [hung, FakeEngine()]
    seen: list[float] = []
    worker = Worker(
        lambda: engines.pop(0),
        Timing(decode_timeout=0.5),
        on_decoded=lambda kind, seconds: seen.append(seconds),
    )
    worker.start()
    await worker.ready()
    with pytest.raises(Hung):
        await worker.submit(job())
    assert seen == []
    await worker.submit(job())
    assert len(seen) == 1
    hung.release()
    await worker.close()


# Loading and warming up.


class Gate:
    """Loader that blocks until the test opens it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def load(self) -> Engine:
        self._open.wait()
        return self._engine


async def test_jobs_submitted_during_the_load_are_answered_after_it() -> None:
    engine = FakeEngine()
    gate = Gate(engine)
    worker = Worker(gate.load)
    worker.start()
    tasks = await submitted(worker, job(1), job(2))
    assert repr(worker) == "<Worker loading, 2 waiting, 0 decoding>"
    assert not worker.statistics().ready
    gate.open()
    assert [answer.text for answer in await asyncio.gather(*tasks)] == [
        "1.0 seconds",
        "2.0 seconds",
    ]
    await worker.close()


async def test_the_model_is_warmed_up_if_no_job_is_waiting() -> None:
    engine = FakeEngine()
    async with working(engine):
        assert engine.warmed_up


async def test_the_warm_up_is_skipped_if_a_job_is_waiting() -> None:
    engine = FakeEngine()
    gate = Gate(engine)
    worker = Worker(gate.load)
    worker.start()
    (task,) = await submitted(worker, job())
    gate.open()
    await task
    assert not engine.warmed_up
    await worker.close()


class PatientEngine(FakeEngine):
    """Engine that warms up until a job is waiting."""

    warming = threading.Event()

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        self.warming.set()
        while not needed():
            time.sleep(0)


async def test_a_job_submitted_during_the_warm_up_ends_it() -> None:
    engine = PatientEngine()
    worker = Worker(lambda: engine)
    worker.start()
    await asyncio.to_thread(engine.warming.wait)
    assert (await worker.submit(job())).text == "1.0 seconds"
    await worker.close()


class ColdEngine(FakeEngine):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (RuntimeError("too cold"), EngineError, "the model does not decode: too cold"),
        (ModelError("no such token"), ModelError, "no such token"),
        (RuntimeError("mkl_malloc: failed to allocate memory"), NoMemory, "choose a smaller one"),
        (RuntimeError("CUDA failed with error out of memory"), NoMemory, "out of memory"),
        (MemoryError(), NoMemory, r"not enough memory for the model \(MemoryError\)"),
    ],
)
async def test_a_failed_warm_up_stops_the_worker(
    caplog: pytest.LogCaptureFixture, error: Exception, kind: type[Exception], sentence: str
) -> None:
    worker = Worker(lambda: ColdEngine(error))
    worker.start()
    with pytest.raises(kind, match=sentence):
        await worker.ready()
    with pytest.raises(kind, match=sentence):
        await worker.submit(job())
    # asyncio's own warnings, of callbacks that were slow on a busy machine, do not count.
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    await worker.close()


def no_model() -> Engine:
    raise ModelError("model 'base' is not to be had")


def no_memory() -> Engine:
    raise MemoryError("8 GB")


async def test_an_unavailable_model_is_reported_to_every_caller() -> None:
    worker = Worker(no_model)
    worker.start()
    with pytest.raises(ModelError, match="not to be had"):
        await worker.ready()
    with pytest.raises(ModelError, match="not to be had"):
        await worker.ready()
    assert not worker.statistics().ready


async def test_a_memory_error_during_the_load_becomes_no_memory() -> None:
    worker = Worker(no_memory)
    worker.start()
    with pytest.raises(NoMemory, match=r"^not enough memory for the model \(8 GB\); choose"):
        await worker.ready()


async def test_cancelling_the_wait_for_the_model_does_not_stop_the_load() -> None:
    engine = FakeEngine()
    gate = Gate(engine)
    worker = Worker(gate.load)
    worker.start()
    waiting = asyncio.create_task(worker.ready())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    gate.open()
    await worker.ready()
    await worker.close()


# Shutdown.


async def test_closing_fails_the_jobs_that_have_no_answer() -> None:
    engine = FakeEngine(held=True)
    async with working(engine) as worker:
        tasks = await submitted(worker, job(), job())
        await worker.close()
        for task in tasks:
            with pytest.raises(Stopping):
                await task


async def test_a_parallel_engine_decodes_two_jobs_at_the_same_time() -> None:
    engine = FakeEngine(parallel=2, held=True)
    worker = Worker(lambda: engine)
    worker.start()
    await worker.ready()
    jobs = [asyncio.ensure_future(worker.submit(Job(silence(n)))) for n in (1, 2, 3)]
    await asyncio.sleep(0)
    assert (worker.statistics().decoding, worker.statistics().waiting) == (2, 1)
    assert not worker.idle
    engine.release()
    assert [(await job).text for job in jobs] == ["1.0 seconds", "2.0 seconds", "3.0 seconds"]
    await worker.close()


async def test_a_command_passes_long_jobs() -> None:
    engine = GatedEngine(parallel=2)
    segments, command = [job(28) for _ in range(4)], job(2)
    async with working(engine) as worker:
        tasks = await submitted(worker, *segments)
        statistics = worker.statistics()
        assert (statistics.decoding, statistics.waiting) == (1, 3)
        assert worker.idle  # for a command
        assert worker.can_begin(command)
        assert not worker.can_begin(job(28))
        engine.let_pass(command)
        assert (await worker.submit(command)).text == "2.0 seconds"
        assert engine.decoded == [command]
        engine.release()
        await asyncio.gather(*tasks)
    assert engine.decoded == [command, *segments]


async def test_a_short_file_uses_a_free_decoder_but_never_the_place_of_a_command() -> None:
    engine = GatedEngine(parallel=2)
    segment, command = job(28), job(2)
    note, other = (replace(job(2), kind=DecodeKind.FILE) for _ in range(2))
    async with working(engine, max_waiting=1) as worker:
        tasks = await submitted(worker, segment)
        assert worker.can_begin(note)
        tasks += await submitted(worker, note, other)
        assert (worker.statistics().decoding, worker.statistics().waiting) == (2, 1)
        assert not worker.can_begin(note)
        with pytest.raises(Busy):
            await worker.submit(replace(note))
        tasks += await submitted(worker, command)  # the waiting file does not keep it out
        engine.release()
        await asyncio.gather(*tasks)
    assert engine.decoded.index(command) < engine.decoded.index(other)


@pytest.mark.parametrize(("seconds", "decoding"), [(3.0, 2), (5.0, 1)])
async def test_long_jobs_use_all_decoders_while_one_takes_at_most_4_s(
    seconds: float, decoding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    clock, passed = loop.time, 0.0

    class SlowEngine(GatedEngine):
        def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
            nonlocal passed
            passed += seconds
            return super().decode(jobs)

    monkeypatch.setattr(loop, "time", lambda: clock() + passed)
    engine = SlowEngine(parallel=2)
    segments = [job(28) for _ in range(3)]
    engine.let_pass(segments[0])
    async with working(engine) as worker:
        first, *others = await submitted(worker, *segments)
        await first
        assert worker.statistics().decoding == decoding
        engine.release()
        await asyncio.gather(*others)


async def test_a_single_decoder_takes_a_command_between_two_long_jobs() -> None:
    engine = FakeEngine(held=True, max_batch=8)
    segments, command = [job(28) for _ in range(3)], job(2)
    async with working(engine) as worker:
        worker.command_expected("turn")
        tasks = await submitted(worker, *segments, command)
        engine.release()
        await asyncio.gather(*tasks)
        assert worker.statistics().batches == {1: 4}
    assert engine.decoded == [segments[0], command, *segments[1:]]


async def test_a_single_decoder_takes_long_jobs_together_while_nobody_speaks() -> None:
    engine = FakeEngine(held=True, max_batch=8)
    segments = [job(28) for _ in range(4)]
    async with working(engine) as worker:
        tasks = await submitted(worker, *segments)
        engine.release()
        await asyncio.gather(*tasks)
        assert worker.statistics().batches == {1: 1, 3: 1}  # the first shows that they are short


async def test_long_jobs_of_two_owners_alternate() -> None:
    engine = FakeEngine(held=True)
    many = [replace(job(28), owner="a") for _ in range(3)]
    other = [replace(job(28), owner="b") for _ in range(2)]
    async with working(engine) as worker:
        tasks = await submitted(worker, *many, *other)
        engine.release()
        await asyncio.gather(*tasks)
    assert engine.decoded == [many[0], other[0], many[1], other[1], many[2]]


class GatedEngine(FakeEngine):
    """Engine in which chosen jobs pass while all others are held."""

    def __init__(self, *, parallel: int) -> None:
        super().__init__(parallel=parallel, held=True)
        self._passing: set[Job] = set()

    def let_pass(self, one: Job) -> None:
        self._passing.add(one)

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        if self._passing.issuperset(jobs):
            self.decoded.extend(jobs)
            return [Transcript(self._say(one), one.options.language) for one in jobs]
        return super().decode(jobs)


class Interruptible(FakeEngine):
    """Engine on another machine: a decode waits until it is withdrawn."""

    def __init__(self) -> None:
        super().__init__(held=True, parallel=2)
        self.interrupted: list[Job] = []

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        super().decode(jobs)
        raise Busy("the remote queue is full")

    def withdraw(self, job: Job) -> None:
        self.interrupted.append(job)
        self.release()


async def test_an_engine_is_told_of_a_job_that_is_withdrawn_while_it_decodes() -> None:
    engine, running, waiting = Interruptible(), job(), job()
    async with working(engine) as worker:
        first, *_, last = await submitted(worker, running, job(), waiting)
        last.cancel()  # it has not reached the engine
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await until_decoded(engine, 2)
    assert engine.interrupted == [running]


async def test_an_engine_may_be_busy() -> None:
    engine = Interruptible()
    engine.release()
    async with working(engine) as worker:
        with pytest.raises(Busy, match="the remote queue is full"):
            await worker.submit(job())
        assert worker.decode_seconds == 0.0  # it says nothing about the time of a decode


async def until_decoded(engine: FakeEngine, count: int) -> None:
    async with asyncio.timeout(10):
        while len(engine.decoded) < count:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_tenant_that_fills_the_queue_leaves_room_for_others() -> None:
    greedy, other = (
        Tenant(name=name, named=True, shares=True, label=name) for name in ("greedy", "other")
    )
    async with working(FakeEngine(held=True), max_waiting=8) as worker:
        first = await submitted(worker, job())
        tasks = await submitted(worker, *(replace(job(), tenant=greedy) for _ in range(6)))
        assert worker.statistics().waiting == 4
        refused = [task for task in tasks if task.done()]
        assert [str(task.exception()) for task in refused] == [
            "the queue is full (4 jobs); try again later"
        ] * 2
        later = await submitted(worker, replace(job(), tenant=other))
        assert worker.statistics().waiting == 5
        for task in (*first, *tasks, *later):
            task.cancel()


async def test_an_engine_may_decode_more_in_parallel_later() -> None:
    together = threading.Barrier(3)

    def meet(job: Job) -> str:
        together.wait(timeout=10)
        return "together"

    engine = FakeEngine(meet, held=True)
    async with working(engine) as worker:
        tasks = await submitted(worker, job(), job(), job())
        assert worker.statistics().decoding == 1
        engine.parallel = 3
        tasks += await submitted(worker, job(), job(), job())
        assert worker.statistics().decoding == 3
        engine.release()
        assert {answer.text for answer in await asyncio.gather(*tasks)} == {"together"}
