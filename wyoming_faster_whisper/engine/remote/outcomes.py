"""Counts the jobs of the decode servers and of the local model, by outcome."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager

from ...errors import Busy

REMOTE, LOCAL = "remote", "local"

_OUTCOMES = {
    REMOTE: ("answered", "busy", "failed", "withdrawn"),
    LOCAL: ("answered", "busy", "failed"),
}


class Outcomes:
    """Jobs since the start, by engine and outcome. Its methods may be called in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs = {(engine, each): 0 for engine in _OUTCOMES for each in _OUTCOMES[engine]}

    @contextmanager
    def count(self, engine: str, jobs: int = 1) -> Iterator[None]:
        """Count jobs by how the block ends.

        Args:
            engine: REMOTE or LOCAL.
        """
        outcome = "failed"
        try:
            yield
            outcome = "answered"
        except CancelledError:
            outcome = "withdrawn"
            raise
        except Busy:
            outcome = "busy"
            raise
        finally:
            with self._lock:
                self._jobs[engine, outcome] += jobs

    def snapshot(self) -> Mapping[tuple[str, str], int]:
        """Return the number of jobs by engine and outcome."""
        with self._lock:
            return dict(self._jobs)
