"""One model of a decode server, with its queue; its version can change while it serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..engine.lifecycle import ModelState
from ..engine.protocol import Job, Transcript
from ..engine.queue import Worker, WorkerStatistics
from ..engine.recognizer import Recognizer
from ..errors import ModelError
from .configuration import ModelSpec

_LOGGER = logging.getLogger(__name__)


class LoadedModel:
    """A version of a model, with its queue. Create it in the event loop, and start() it.

    Args:
        recognizer: of which the default model decodes; its load() loads it.
        max_waiting: jobs that may wait for the model; further ones are refused with Busy.
    """

    def __init__(self, spec: ModelSpec, recognizer: Recognizer, *, max_waiting: int) -> None:
        self.spec = spec
        self.max_waiting = max_waiting
        self.served = recognizer.models[0]
        self._recognizer = recognizer
        assert recognizer.load is not None
        self._worker = Worker(recognizer.load, max_waiting=max_waiting)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def version(self) -> str:
        return self.spec.version

    @property
    def ready(self) -> bool:
        return self._worker.statistics().ready

    def statistics(self) -> WorkerStatistics:
        """Return a snapshot of the queue."""
        return self._worker.statistics()

    async def start(self) -> None:
        """Load the model.

        Raises:
            ServerError: it cannot be loaded.
        """
        self._worker.start()
        await self._worker.ready()

    async def recognize(self, job: Job) -> Transcript:
        """Decode a job; see Worker.submit."""
        self._running += 1
        self._idle.clear()
        try:
            return await self._worker.submit(job)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    def check_health(self) -> None:
        """Check that the model can decode, now or after a reload.

        Raises:
            ModelError: it is lost for good.
        """
        if self._worker.statistics().state is ModelState.LOST:
            raise ModelError(f"model {self.spec} is lost; the log says why")

    async def drain(self) -> None:
        """Let the running jobs end, then free the model. No new job may come."""
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """Fail the running jobs and free the model."""
        await self._worker.close()
        await asyncio.to_thread(self._recognizer.close)


class ModelSlot:
    """Holder of the version of a model that serves. Lives on the event loop.

    Args:
        recognizer: makes the recognizer of a spec. Called in a thread.
    """

    def __init__(self, recognizer: Callable[[ModelSpec], Recognizer]) -> None:
        self._make_recognizer = recognizer
        self._model: LoadedModel | None = None
        self._changing = asyncio.Lock()
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> LoadedModel | None:
        """The version that serves; None before the first update()."""
        return self._model

    async def update(self, spec: ModelSpec, *, max_waiting: int = 64) -> None:
        """Serve another version; the old one serves until the new one is loaded.

        A changed max_waiting loads the same version again, with a new queue.

        Jobs that the old one has begun, or that wait for it, are decoded by it. Meanwhile both
        are in memory.

        Args:
            max_waiting: as for LoadedModel.

        Raises:
            ServerError: the new one cannot be loaded; the old one keeps serving.
        """
        async with self._changing:
            old = self._model
            if old is not None and (old.spec, old.max_waiting) == (spec, max_waiting):
                return
            recognizer = await asyncio.to_thread(self._make_recognizer, spec)
            new = LoadedModel(spec, recognizer, max_waiting=max_waiting)
            try:
                await new.start()
            except BaseException:
                await new.close()
                raise
            self._model = new
            _LOGGER.info("Model %s serves", spec)
            if old is not None:
                draining = asyncio.create_task(old.drain())
                self._draining.add(draining)
                draining.add_done_callback(self._draining.discard)

    async def close(self) -> None:
        """Let the running jobs end, then free the model. No new job may come."""
        if self._model is not None:
            await self._model.drain()
        for draining in list(self._draining):
            await draining
