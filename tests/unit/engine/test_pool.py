"""Several models in one queue: loaded when needed, unloaded alone, replaced while they serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.support.serving import until
from wyoming_faster_whisper.engine.lifecycle import ModelState
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.recognizer import Loader
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.errors import EngineError, ModelError, NoMemory, ServerError
from wyoming_faster_whisper.testing import FakeEngine, silence

pytestmark = pytest.mark.timeout(20)

SOON = 0.01  # seconds


LAZY = Timing(unload_after=60.0)
"""Models are unloaded when they are idle, so they are loaded only when they are needed."""


def job(model: str, began: float = float("inf")) -> Job:
    return Job(silence(1.0), DecodeOptions(model=model, language="en"), utterance_began=began)


def named(name: str, **options: object) -> FakeEngine:
    return FakeEngine(lambda _: name, **options)  # type: ignore[arg-type]


def serving(engine: FakeEngine) -> Loader:
    return Loader(lambda: engine)


def raising(error: Exception) -> Callable[[], Engine]:
    def load() -> Engine:
        raise error

    return load


@asynccontextmanager
async def working(
    loaders: dict[str, Loader], timing: Timing | None = None
) -> AsyncIterator[Worker]:
    worker = Worker(loaders, timing or LAZY)
    worker.start()
    await worker.ready()
    try:
        yield worker
    finally:
        await worker.close()


def states(worker: Worker) -> list[ModelState]:
    return list(worker.statistics().models.values())


async def test_a_model_is_loaded_when_it_is_needed_first() -> None:
    loaders = {name: serving(named(name)) for name in ("base", "small")}
    async with working(loaders) as worker:
        assert states(worker) == [ModelState.READY, ModelState.UNLOADED]
        assert (await worker.submit(job("small"))).text == "small"
        assert (await worker.submit(job("base"))).text == "base"
        assert states(worker) == [ModelState.READY, ModelState.READY]


async def test_models_that_stay_loaded_are_loaded_after_each_other() -> None:
    broken = Loader(raising(ModelError("model.bin is damaged")))
    loaders = {
        "base": serving(named("base")),
        "broken": broken,
        "small": serving(named("small")),
    }
    async with working(loaders, Timing()) as worker:
        ready, lost = ModelState.READY, ModelState.LOST
        await until(lambda: states(worker) == [ready, lost, ready])
        assert (await worker.submit(job("small"))).text == "small"


async def test_a_model_is_loaded_while_the_speaker_speaks() -> None:
    loaders = {name: serving(named(name)) for name in ("base", "small")}
    async with working(loaders) as worker:
        worker.reload("small")
        await until(lambda: states(worker) == [ModelState.READY] * 2)


async def test_jobs_of_an_unknown_model_go_to_the_default() -> None:
    loaders = {name: serving(named(name)) for name in ("base", "small")}
    async with working(loaders) as worker:
        assert [(await worker.submit(job(name))).text for name in ("", "turbo")] == ["base"] * 2


async def test_models_share_the_machine() -> None:
    engines = {name: named(name, held=True) for name in ("base", "small")}
    loaders = {name: serving(engines[name]) for name in engines}
    async with working(loaders) as worker:
        worker.reload("small")
        await until(lambda: states(worker) == [ModelState.READY] * 2)
        running = [asyncio.create_task(worker.submit(job(name))) for name in engines]
        await until(lambda: worker.statistics().decoding > 0)
        assert (worker.statistics().decoding, worker.statistics().waiting) == (1, 1)
        for engine in engines.values():
            engine.release()
        assert [(await one).text for one in running] == ["base", "small"]


async def test_a_job_for_a_model_that_loads_does_not_hold_up_another() -> None:
    go = asyncio.Event()
    loop = asyncio.get_running_loop()

    def load() -> Engine:
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        return named("slow")

    loaders = {"base": serving(named("base")), "slow": Loader(load)}
    async with working(loaders) as worker:
        waiting = asyncio.create_task(worker.submit(job("slow")))
        await asyncio.sleep(0)
        assert (await worker.submit(job("base"))).text == "base"
        go.set()
        assert (await waiting).text == "slow"


async def test_each_model_is_unloaded_alone() -> None:
    engines = {name: named(name) for name in ("base", "small")}
    loaders = {name: serving(engines[name]) for name in engines}
    async with working(loaders, Timing(unload_after=0.2)) as worker:
        await worker.submit(job("small"))
        while not engines["small"].unloaded.is_set():
            worker.reload("base")
            await asyncio.sleep(SOON)
        assert not engines["base"].unloaded.is_set()
        assert (await worker.submit(job("small"))).text == "small"


async def test_a_model_that_does_not_load_fails_only_its_jobs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Loader(raising(ModelError("encoder.onnx is damaged")))
    async with working({"base": serving(named("base")), "broken": broken}) as worker:
        for _ in range(2):
            with pytest.raises(ModelError, match=r"encoder\.onnx is damaged"):
                await worker.submit(job("broken"))
        assert (await worker.submit(job("base"))).text == "base"
        assert states(worker) == [ModelState.READY, ModelState.LOST]


async def test_without_its_default_model_the_server_goes_on_with_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Loader(raising(ModelError("model.bin is damaged")))
    async with working({"broken": broken, "base": serving(named("base"))}) as worker:
        assert "Model broken cannot be used: model.bin is damaged" in caplog.text
        assert (await worker.submit(job("base"))).text == "base"
        assert worker.statistics().ready


async def test_no_model_at_all_is_the_reason_of_the_first() -> None:
    loaders = {name: Loader(raising(ModelError(name))) for name in ("one", "two")}
    worker = Worker(loaders)
    worker.start()
    with pytest.raises(ModelError, match="one"):
        await worker.ready()
    with pytest.raises(ServerError):
        await worker.failed()
    await worker.close()


async def test_too_little_memory_for_a_further_model_is_tried_again() -> None:
    room = False

    def load() -> Engine:
        if not room:
            raise NoMemory("small needs 800 MB")
        return named("small")

    loaders = {"base": serving(named("base")), "small": Loader(load)}
    async with working(loaders) as worker:
        with pytest.raises(NoMemory):
            await worker.submit(job("small"))
        room = True
        assert (await worker.submit(job("small"))).text == "small"


class Files:
    """Files of a model that the test replaces."""

    def __init__(self) -> None:
        self.version = 1
        self.fault: Exception | None = None
        self.held = False
        self.engines: list[FakeEngine] = []

    def load(self) -> Engine:
        if self.fault is not None:
            raise self.fault
        engine = named(f"version {self.version}", held=self.held)
        self.engines.append(engine)
        return engine

    @property
    def loader(self) -> Loader:
        return Loader(self.load, lambda: self.version)


WATCHING = Timing(check_files=SOON)


async def served_by(worker: Worker, text: str) -> None:
    """Submit jobs until a version of the model answers them."""
    async with asyncio.timeout(15):
        while (await worker.submit(job("base"))).text != text:
            pass


async def test_new_utterances_get_the_new_files_of_a_model() -> None:
    files = Files()
    async with working({"base": files.loader}, WATCHING) as worker:
        began = asyncio.get_running_loop().time()
        assert (await worker.submit(job("base", began))).text == "version 1"
        files.version = 2
        await until(lambda: len(files.engines) == 2 and files.engines[1].warmed_up)
        await served_by(worker, "version 2")
        # The utterance that began before goes on with the files that it began with.
        assert (await worker.submit(job("base", began))).text == "version 1"
        assert (await worker.submit(job("base"))).text == "version 2"


async def test_a_running_decode_finishes_on_the_old_files() -> None:
    files = Files()
    files.held = True
    async with working({"base": files.loader}, WATCHING) as worker:
        running = asyncio.create_task(worker.submit(job("base")))
        await until(lambda: worker.statistics().decoding == 1)
        files.version, files.held = 2, False
        await until(lambda: len(files.engines) == 2)
        files.engines[0].release()
        assert (await running).text == "version 1"


async def test_old_files_are_freed_once_no_utterance_uses_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    files = Files()
    async with working({"base": files.loader}, replace(WATCHING, retire=SOON)) as worker:
        began = asyncio.get_running_loop().time()
        files.version = 2
        await until(lambda: "old files are no longer used" in caplog.text)
        assert (await worker.submit(job("base", began))).text == "version 2"


async def test_new_files_that_do_not_load_leave_the_old_ones_in_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = Files()
    async with working({"base": files.loader}, WATCHING) as worker:
        files.version, files.fault = 2, ModelError("model.bin is cut off")
        await until(lambda: "keeping the old ones: model.bin is cut off" in caplog.text)
        assert (await worker.submit(job("base"))).text == "version 1"
        # The same files are not tried again, others are.
        files.version, files.fault = 3, None
        await served_by(worker, "version 3")
        assert len(files.engines) == 2


async def test_files_that_the_load_itself_downloaded_are_watched() -> None:
    files = Files()
    loader = Loader(files.load, lambda: files.version if files.engines else None)
    async with working({"base": loader}, WATCHING) as worker:
        assert (await worker.submit(job("base"))).text == "version 1"
        files.version = 2
        await served_by(worker, "version 2")


async def test_files_that_are_still_being_written_are_left_alone() -> None:
    files = Files()
    checks = 0

    def version() -> int:
        nonlocal checks
        checks += 1
        return checks

    async with working({"base": Loader(files.load, version)}, WATCHING):
        await until(lambda: checks > 10)
        assert len(files.engines) == 1


async def test_a_hung_model_does_not_stop_the_others() -> None:
    hung = [named("hung", held=True), named("hung", held=True)]
    engines = iter(hung)
    loaders = {
        "base": serving(named("base")),
        "hung": Loader(lambda: next(engines)),
    }
    async with working(loaders, Timing(decode_timeout=0.1)) as worker:
        for _ in range(2):
            with pytest.raises(EngineError, match="did not answer"):
                await worker.submit(job("hung"))
        assert (await worker.submit(job("base"))).text == "base"
        assert states(worker) == [ModelState.READY, ModelState.LOST]
        for engine in hung:
            engine.release()
