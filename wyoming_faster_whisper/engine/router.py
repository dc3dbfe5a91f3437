"""Several models behind one queue."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from .protocol import Engine, Job, Transcript


class Router:
    """Sends each job to the engine of the model it names.

    Args:
        engines: by the models' names; the first decodes what names none.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._default = next(iter(engines.values()))
        self.parallel = max(engine.parallel for engine in engines.values())

    @property
    def max_batch(self) -> int:
        """What every engine takes; known after warm_up()."""
        return min(engine.max_batch for engine in self._engines.values())

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key; equal options name the same model."""
        return self._engine_of(job).batch_key(job)

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        return self._engine_of(jobs[0]).decode(jobs)

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        for engine in self._engines.values():
            engine.warm_up(needed)

    def unload(self) -> None:
        for engine in self._engines.values():
            engine.unload()

    def load(self) -> None:
        """See Engine.load; all of them or none."""
        loaded: list[Engine] = []
        try:
            for engine in self._engines.values():
                engine.load()
                loaded.append(engine)
        except Exception:
            for engine in loaded:
                engine.unload()
            raise

    def _engine_of(self, job: Job) -> Engine:
        return self._engines.get(job.options.model, self._default)
