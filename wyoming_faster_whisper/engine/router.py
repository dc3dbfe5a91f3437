"""Router: several models that share one queue."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from .protocol import Engine, Job, Transcript


class Router:
    """Engine that passes each job to the engine of the model that the job names.

    Args:
        engines: the engines by model name. The first is the default: it decodes jobs that
            name no model.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._default = next(iter(engines.values()))
        self.parallel = max(engine.parallel for engine in engines.values())

    @property
    def max_batch(self) -> int:
        """Largest batch that every engine takes; final after warm_up()."""
        return min(engine.max_batch for engine in self._engines.values())

    def batch_key(self, job: Job) -> Hashable:
        """See Engine.batch_key. Jobs of different models have different options."""
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
        """See Engine.load. Loads all engines, or none if one of them fails."""
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
