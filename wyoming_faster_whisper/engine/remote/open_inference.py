"""Engine that decodes on other machines, over the Open Inference Protocol.

Its threads wait for an event loop of its own, which has the connections. docs/remote.md
describes the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, ParamSpec, TypeVar

from ...errors import EngineError
from ..protocol import Job, Transcript
from .decode_servers import DecodeServers
from .inference_client import RemoteModel
from .outcomes import REMOTE, Outcomes

P = ParamSpec("P")
T = TypeVar("T")

PARALLEL = 16
"""Jobs in flight. The servers form the batches, so they should see many jobs."""

_STOPPING = 5.0  # seconds until the loop has to end


class Withdrawn(EngineError):
    """The job was withdrawn, so it has no result."""


class RemoteEngine:
    """Engine of the models on decode servers. Blocking, like every Engine.

    start() before the first decode, and close() at the end.

    Args:
        servers: they are used only in the event loop of this engine.
        models: the models by the name that a job has; the first is the default.
    """

    max_batch = max_long_batch = 1
    parallel = PARALLEL

    def __init__(self, servers: DecodeServers, models: Mapping[str, RemoteModel]) -> None:
        self.outcomes = Outcomes()
        self._servers = servers
        self._models = models
        self._default = next(iter(models.values()))
        self._loop: asyncio.AbstractEventLoop | None = None  # from start() on
        self._thread: threading.Thread | None = None  # of the loop
        self._closed = False
        self._starting = threading.Lock()  # guards the three above
        self._running: dict[Job, Future[Transcript]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # of the calls below; in the loop only

    @property
    def available(self) -> bool:
        """True while a server takes jobs."""
        return self._servers.available

    @property
    def obstacle(self) -> str | None:
        """Reason why no server takes jobs; None = one does."""
        return self._servers.obstacle

    def start(self) -> None:
        """Connect to the servers. It takes seconds if they do not answer.

        Raises:
            EngineError: the engine was closed meanwhile.
        """
        with self._starting:
            if self._closed:
                raise EngineError("the server is stopping")
            if self._thread is not None:
                return
            self._loop = asyncio.new_event_loop()
            run = self._loop.run_forever
            self._thread = threading.Thread(target=run, name="remote", daemon=True)
            self._thread.start()
            started = self._call(self._servers.start)
        try:
            started.result()
        except CancelledError:
            raise EngineError("the server is stopping") from None

    def close(self) -> None:
        """Withdraw all jobs and close the connections."""
        with self._starting:
            self._closed = True
        if self._thread is None or self._loop is None:
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(_STOPPING)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOPPING)
        if not self._thread.is_alive():
            self._loop.close()

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key."""
        return job.options

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode.

        Raises:
            EngineError: no server answered.
            Withdrawn: the job was withdrawn.
            Busy: the servers have too much work.
        """
        [job] = jobs
        model = self._models.get(job.options.model, self._default)
        running = self._call(self._servers.recognize, model, job)
        self._running[job] = running
        try:
            with self.outcomes.count(REMOTE):
                return [running.result()]
        except CancelledError:
            raise Withdrawn("the job was withdrawn") from None
        finally:
            del self._running[job]

    def _call(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call a function in the loop of the servers.

        Raises:
            EngineError: the engine is closed, or not started.
        """
        if self._loop is None or self._loop.is_closed():
            raise EngineError("the server is stopping")

        async def call() -> T:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                return await function(*args, **kwargs)
            finally:
                self._tasks.discard(task)

        return asyncio.run_coroutine_threadsafe(call(), self._loop)

    async def _stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._servers.close()

    def withdraw(self, job: Job) -> None:
        """See Withdrawable.withdraw. The connection is closed, which tells the server."""
        if (running := self._running.get(job)) is not None:
            running.cancel()

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        """Do nothing: the servers have warmed up."""

    def unload(self) -> None:
        """Do nothing: there are no weights here."""

    def load(self) -> None:
        """Do nothing: there are no weights here."""
