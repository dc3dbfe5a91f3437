"""Several models behind one queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .base import Engine, Job, Transcript


class SeveralEngines:
    """Sends each job to the engine of the model it names.

    Args:
        engines: by the models' names; the first decodes what names none.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines
        self._default = next(iter(engines.values()))
        self.parallel = max(engine.parallel for engine in engines.values())
        self.max_batch = min(engine.max_batch for engine in engines.values())

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode; jobs of one batch have the same options, so the same model."""
        return self._engines.get(jobs[0].options.model, self._default).decode(jobs)

    def warm_up(self) -> None:
        for engine in self._engines.values():
            engine.warm_up()
