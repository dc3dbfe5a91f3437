"""A worker without a model or a thread: the test answers each job."""

from __future__ import annotations

import asyncio

from tests.support.tasks import settled
from wyoming_faster_whisper.engine.protocol import Engine, Job, Transcript
from wyoming_faster_whisper.engine.queue import Worker


def _no_model() -> Engine:
    raise AssertionError("this worker is never started")


class ManualWorker(Worker):
    """Worker whose jobs wait until the test starts and answers them."""

    def __init__(self) -> None:
        super().__init__(_no_model)
        self.submitted: list[Job] = []
        self.cancelled: list[Job] = []
        self.is_idle = True
        self.decoders = 1
        self._open: dict[Job, asyncio.Future[Transcript]] = {}
        self._started: set[Job] = set()

    @property
    def parallel(self) -> int:
        return self.decoders

    @property
    def idle(self) -> bool:
        return self.is_idle

    def can_begin(self, job: Job) -> bool:
        return self.is_idle

    def is_waiting(self, job: Job) -> bool:
        return job in self._open and job not in self._started

    async def submit(self, job: Job) -> Transcript:
        answer: asyncio.Future[Transcript] = asyncio.get_running_loop().create_future()
        self.submitted.append(job)
        self._open[job] = answer
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancelled.append(job)
            raise
        finally:
            del self._open[job]

    @property
    def opened(self) -> list[asyncio.Future[Transcript]]:
        """Answers of the jobs that are not answered, oldest first."""
        return list(self._open.values())

    def start_decode(self) -> None:
        """Let the model take the job that was submitted last."""
        self._started.add(self.submitted[-1])

    async def answer(self, *results: Transcript | str | Exception) -> None:
        """Answer the oldest open jobs, one after the other."""
        for result in results:
            future = next(iter(self._open.values()))
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(Transcript(result, "en") if isinstance(result, str) else result)
            await settled()
