"""Lifecycle of the model: load, hung decode, idle unload, reload and measurement."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable

import pytest

from tests.support.serving import until
from wyoming_faster_whisper.engine.protocol import Engine
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.errors import EngineError, ModelError, NoMemory, ServerError
from wyoming_faster_whisper.testing import FakeEngine

from .test_queue import job, submitted

pytestmark = pytest.mark.timeout(20)

TIMEOUT = 0.5  # seconds; long enough for an engine that does nothing
SOON = 0.01  # seconds


class Engines:
    """Loader that returns one engine after the other, and then fails for lack of memory."""

    def __init__(self, *engines: FakeEngine) -> None:
        self.engines = list(engines)

    def __call__(self) -> Engine:
        if not self.engines:
            raise ModelError("900 MB are needed, 100 MB are available")
        return self.engines.pop(0)


async def failure(worker: Worker) -> ServerError:
    with pytest.raises(ServerError) as caught:
        await worker.failed()
    return caught.value


async def test_a_hung_decode_fails_its_jobs_and_the_next_model_takes_over() -> None:
    hung = FakeEngine(held=True, parallel=2)
    worker = Worker(Engines(hung, FakeEngine()), Timing(decode_timeout=TIMEOUT))
    worker.start()
    await worker.ready()
    one, other, waiting = await submitted(worker, job(1.0), job(2.0), job(3.0))
    for lost in (one, other):
        with pytest.raises(EngineError, match=r"did not answer within 0\.5 s"):
            await lost
    assert (await waiting).text == "3.0 seconds"
    hung.release()  # the answer of the abandoned engine is discarded
    assert (await worker.submit(job(4.0))).text == "4.0 seconds"
    await worker.close()


async def test_the_second_hung_decode_stops_the_worker() -> None:
    engines = [FakeEngine(held=True), FakeEngine(held=True)]
    worker = Worker(Engines(*engines), Timing(decode_timeout=SOON))
    worker.start()
    await worker.ready()
    one, other = await submitted(worker, job(), job())
    await asyncio.gather(one, other, return_exceptions=True)
    assert "this is the second hang" in str(await failure(worker))
    with pytest.raises(EngineError, match="this is the second hang"):
        await worker.submit(job())
    for engine in engines:
        engine.release()
    await worker.close()


async def test_the_worker_stops_if_there_is_no_memory_for_another_model() -> None:
    hung = FakeEngine(held=True)
    worker = Worker(Engines(hung), Timing(decode_timeout=SOON))
    worker.start()
    await worker.ready()
    one, waiting = await submitted(worker, job(), job())
    with pytest.raises(EngineError, match="did not answer"):
        await one
    assert str(await failure(worker)) == "900 MB are needed, 100 MB are available"
    with pytest.raises(ModelError):
        await waiting
    hung.release()
    await worker.close()


class Stuck:
    """Loader whose load hangs for held engines until go is set."""

    def __init__(self, *engines: FakeEngine) -> None:
        self.go = threading.Event()
        self._left = list(engines)

    def __call__(self) -> Engine:
        engine = self._left.pop(0)
        if engine.held:
            self.go.wait()
        return engine


async def test_a_hung_load_is_abandoned_and_the_next_one_serves() -> None:
    hung, sound = FakeEngine(held=True), FakeEngine()
    load = Stuck(hung, sound)
    worker = Worker(load, Timing(load_timeout=TIMEOUT))
    worker.start()
    [waiting] = await submitted(worker, job(1.0))
    assert (await waiting).text == "1.0 seconds"
    load.go.set()  # the first load ends too late to be used
    assert (await worker.submit(job(2.0))).text == "2.0 seconds"
    assert (len(hung.decoded), len(sound.decoded)) == (0, 2)
    await worker.close()


async def test_the_second_hung_load_stops_the_worker() -> None:
    load = Stuck(FakeEngine(held=True), FakeEngine(held=True))
    worker = Worker(load, Timing(load_timeout=SOON))
    worker.start()
    [waiting] = await submitted(worker, job())
    assert str(await failure(worker)) == (
        "loading the model made no progress for 0.01 s, and this is the second hang; if the "
        "machine is only slow, raise --load-timeout or choose a smaller --model"
    )
    with pytest.raises(EngineError, match="--load-timeout"):
        await waiting
    load.go.set()
    await worker.close()


async def test_a_load_that_makes_progress_does_not_count_as_hung() -> None:
    """The timeout starts anew whenever the load has read more bytes."""
    looks = itertools.count(1)
    load = Stuck(FakeEngine(held=True), FakeEngine())
    counted = 0

    def moved() -> int:
        nonlocal counted
        counted = next(looks)
        return min(counted, 50) * 1_000_000

    worker = Worker(load, Timing(load_timeout=SOON, bytes_moved=moved))
    worker.start()
    await worker.ready()
    assert counted >= 50
    load.go.set()
    await worker.close()


class SlowToWarm(FakeEngine):
    """Engine that warms up until go() returns true."""

    def __init__(self, go: Callable[[], bool]) -> None:
        super().__init__()
        self._enough = go

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        while not self._enough():
            needed()
        super().warm_up(needed)


async def test_a_warm_up_that_makes_progress_does_not_count_as_hung() -> None:
    looks = 0

    def moved() -> int:
        nonlocal looks
        looks += 1
        return 0

    engine = SlowToWarm(lambda: looks > 50)
    worker = Worker(Engines(engine), Timing(load_timeout=TIMEOUT / 5, bytes_moved=moved))
    worker.start()
    await worker.ready()
    assert engine.warmed_up
    await worker.close()


async def test_a_model_whose_warm_up_hangs_is_replaced() -> None:
    freed = threading.Event()
    hung = SlowToWarm(lambda: freed.wait() or True)
    worker = Worker(Engines(hung, FakeEngine()), Timing(load_timeout=TIMEOUT))
    worker.start()
    assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    assert hung.decoded == []
    freed.set()
    await worker.close()


async def test_a_model_whose_reload_hangs_is_replaced() -> None:
    class Stiff(FakeEngine):
        go = threading.Event()

        def load(self) -> None:
            self.go.wait()

    stiff, sound = Stiff(), FakeEngine()
    worker = Worker(
        Engines(stiff, sound),
        Timing(load_timeout=TIMEOUT, unload_after=SOON, bytes_moved=lambda: 0),
    )
    worker.start()
    await worker.ready()
    await seen(stiff.unloaded)
    assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    assert len(sound.decoded) == 1
    stiff.go.set()
    await worker.close()


async def test_a_reload_without_enough_memory_is_tried_again_with_the_next_job() -> None:
    class Large(FakeEngine):
        room = False

        def load(self) -> None:
            if not self.room:
                raise NoMemory("base needs about 285 MB of memory and 100 MB are available")
            super().load()

    engine = Large()
    worker = Worker(lambda: engine, Timing(unload_after=SOON))
    worker.start()
    await worker.ready()
    await seen(engine.unloaded)
    for _ in range(2):
        with pytest.raises(NoMemory, match="100 MB are available"):
            await worker.submit(job())
        assert worker.statistics().unloaded
    engine.room = True
    assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    await worker.close()


async def seen(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_an_idle_model_is_unloaded_and_reloaded_for_the_next_job() -> None:
    engine = FakeEngine()
    worker = Worker(lambda: engine, Timing(unload_after=SOON))
    worker.start()
    await worker.ready()
    for _ in range(3):
        await seen(engine.unloaded)
        assert worker.statistics().unloaded
        assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    await worker.close()


async def test_a_model_can_be_reloaded_before_the_first_job() -> None:
    class Watched(FakeEngine):
        def __init__(self) -> None:
            super().__init__()
            self.back = threading.Event()

        def load(self) -> None:
            super().load()
            self.back.set()

    engine = Watched()
    worker = Worker(lambda: engine, Timing(unload_after=TIMEOUT))
    worker.start()
    await worker.ready()
    await seen(engine.unloaded)
    worker.reload()
    await seen(engine.back)
    assert engine.decoded == []
    await worker.close()


async def test_a_model_is_not_unloaded_while_it_decodes() -> None:
    engine = FakeEngine(held=True)
    worker = Worker(lambda: engine, Timing(unload_after=SOON))
    worker.start()
    await worker.ready()
    [one] = await submitted(worker, job(1.0))
    await seen(engine.decoding)
    # Ten times the idle-unload delay, measured by a timer of the loop.
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(10 * SOON, passed.set_result, None)
    await passed
    assert not engine.unloaded.is_set()
    engine.release()
    assert (await one).text == "1.0 seconds"
    await worker.close()


async def test_a_model_that_cannot_be_reloaded_stops_the_worker() -> None:
    class Gone(FakeEngine):
        def load(self) -> None:
            raise ModelError("the model in /models does not load: it is gone")

    engine = Gone()
    worker = Worker(lambda: engine, Timing(unload_after=SOON))
    worker.start()
    await worker.ready()
    await seen(engine.unloaded)
    with pytest.raises(ModelError, match="it is gone"):
        await worker.submit(job())
    assert "it is gone" in str(await failure(worker))
    await worker.close()


class Measured(FakeEngine):
    """Engine that counts its warm-ups; with lasts, all but the first run until needed."""

    def __init__(self, *, lasts: bool = False, error: Exception | None = None) -> None:
        super().__init__()
        self.times = threading.Semaphore(0)
        self.warming = threading.Event()
        self._lasts = lasts
        self._error = error

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        if self.warmed_up:
            self.warming.set()
            if self._error:
                raise self._error
            while self._lasts and not needed():
                pass
        super().warm_up(needed)
        self.times.release()

    async def measured(self) -> None:
        assert await asyncio.to_thread(self.times.acquire, timeout=10)


async def test_an_idle_model_is_measured_repeatedly() -> None:
    engine = Measured()
    worker = Worker(lambda: engine, Timing(measure_after=SOON, idle_time=SOON))
    worker.start()
    for _ in range(4):
        await engine.measured()
    assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    await engine.measured()
    await worker.close()


async def test_a_measurement_ends_when_speech_begins() -> None:
    engine = Measured(lasts=True)
    worker = Worker(lambda: engine, Timing(measure_after=SOON, idle_time=SOON))
    worker.start()
    await engine.measured()
    for _ in range(2):  # the interrupted measurement is started again
        await seen(engine.warming)
        engine.warming.clear()
        worker.reload()  # what a session calls when speech begins, before its first job
        await engine.measured()
    await worker.close()


async def test_a_model_that_is_in_use_is_not_measured() -> None:
    engine = Measured()
    worker = Worker(lambda: engine, Timing(measure_after=SOON, idle_time=TIMEOUT))
    worker.start()
    await engine.measured()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(20):
        await worker.submit(job())
    await engine.measured()
    assert loop.time() - began >= TIMEOUT
    await worker.close()


async def test_a_model_is_not_unloaded_while_it_is_measured() -> None:
    engine = Measured(lasts=True)
    worker = Worker(
        lambda: engine, Timing(measure_after=SOON, idle_time=TIMEOUT, unload_after=TIMEOUT / 5)
    )
    worker.start()
    await seen(engine.warming)
    passed = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(TIMEOUT / 2, passed.set_result, None)
    await passed
    assert not engine.unloaded.is_set()
    worker.reload()
    await seen(engine.unloaded)
    await worker.close()


async def test_a_later_measurement_that_fails_does_not_stop_the_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Measured(error=RuntimeError("no memory just now"))
    worker = Worker(lambda: engine, Timing(measure_after=SOON, idle_time=SOON))
    worker.start()
    await seen(engine.warming)
    assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    await until(
        lambda: "measuring the decode time again failed: no memory just now" in caplog.text
    )
    await worker.close()
