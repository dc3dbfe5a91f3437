"""States of the model: the transitions of the diagram, and no others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from wyoming_faster_whisper.engine.lifecycle import Lifecycle, ModelState
from wyoming_faster_whisper.engine.protocol import Engine
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.errors import Hung, IllegalTransition, Stopping
from wyoming_faster_whisper.testing import FakeEngine

from .test_queue import job, submitted

pytestmark = pytest.mark.timeout(20)

SOON = 0.01  # seconds
TIMEOUT = 0.5  # seconds; long enough for an engine that does nothing
LOADING, READY, UNLOADED, LOST = ModelState

LEGAL = {
    *((LOADING, READY), (LOADING, LOADING), (LOADING, UNLOADED), (LOADING, LOST)),
    *((READY, UNLOADED), (READY, LOADING), (READY, LOST)),
    *((UNLOADED, LOADING), (UNLOADED, LOST)),
}


@pytest.mark.parametrize("before", ModelState)
@pytest.mark.parametrize("after", ModelState)
def test_the_diagram_has_these_transitions_only(before: ModelState, after: ModelState) -> None:
    if (before, after) in LEGAL:
        assert before.to(after) is after
        return
    with pytest.raises(IllegalTransition, match=f"^from {before.name} to {after.name}$"):
        before.to(after)


async def test_a_lost_model_is_not_started_again() -> None:
    lifecycle = Lifecycle(
        FakeEngine, Timing(), busy=lambda: False, on_ready=lambda: None, on_error=lambda _: None
    )
    lifecycle.close()
    with pytest.raises(IllegalTransition):
        lifecycle.start()
    assert lifecycle.state is LOST


async def test_a_worker_names_its_state() -> None:
    engine = FakeEngine()
    worker = Worker(lambda: engine, Timing(unload_after=SOON))
    assert worker.statistics().state is LOADING
    worker.start()
    await worker.ready()
    assert worker.statistics().state is READY
    assert await asyncio.to_thread(engine.unloaded.wait, 10)
    assert repr(worker) == "<Worker unloaded, 0 waiting, 0 decoding>"
    await worker.close()
    assert repr(worker) == "<Worker lost, 0 waiting, 0 decoding>"


async def test_closing_fails_the_running_decodes() -> None:
    engine = FakeEngine(held=True)
    worker = Worker(lambda: engine)
    worker.start()
    await worker.ready()
    [running] = await submitted(worker, job())
    await worker.close()
    assert worker.statistics().decoding == 0
    with pytest.raises(Stopping):
        await running
    engine.release()


class SlowToUnload(FakeEngine):
    """Engine whose unload ends when the test sets go."""

    def __init__(self) -> None:
        super().__init__()
        self.unloading = threading.Event()
        self.go = threading.Event()

    def unload(self) -> None:
        self.unloading.set()
        self.go.wait()
        super().unload()


async def test_speech_during_an_unload_reloads_the_model_after_it() -> None:
    engine = SlowToUnload()
    worker = Worker(lambda: engine, Timing(unload_after=SOON))
    worker.start()
    assert await asyncio.to_thread(engine.unloading.wait, 10)
    [waiting] = await submitted(worker, job(1.0))
    assert worker.statistics().state is UNLOADED
    engine.go.set()
    assert (await waiting).text == "1.0 seconds"
    await worker.close()


async def test_a_hung_unload_is_abandoned_and_the_model_is_loaded_again() -> None:
    hung = SlowToUnload()
    engines: list[Engine] = [hung, FakeEngine()]
    timing = Timing(unload_after=SOON, load_timeout=TIMEOUT, bytes_moved=lambda: 0)
    worker = Worker(lambda: engines.pop(0), timing)
    worker.start()
    assert await asyncio.to_thread(hung.unloading.wait, 10)
    assert (await worker.submit(job(1.0))).text == "1.0 seconds"
    hung.go.set()
    await worker.close()


async def test_a_hung_measurement_fails_the_decodes_of_its_engine() -> None:
    class StuckWarmUp(FakeEngine):
        go = threading.Event()
        measuring = threading.Event()

        def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
            if self.warmed_up:
                self.measuring.set()
                self.go.wait()
            super().warm_up(needed)

    hung = StuckWarmUp(held=True)
    engines: list[Engine] = [hung, FakeEngine()]
    timing = Timing(
        measure_after=SOON, idle_time=SOON, load_timeout=TIMEOUT, bytes_moved=lambda: 0
    )
    worker = Worker(lambda: engines.pop(0), timing)
    worker.start()
    assert await asyncio.to_thread(hung.measuring.wait, 10)
    with pytest.raises(Hung, match="no progress"):
        await worker.submit(job())
    assert (await worker.submit(job(2.0))).text == "2.0 seconds"
    hung.go.set()
    hung.release()
    await worker.close()
