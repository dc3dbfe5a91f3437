"""Finds the model directory that both servers are started with."""

import os
from pathlib import Path

from wyoming_faster_whisper.models import choose, locate


def cache_directory() -> Path:
    """Return the directory in which the benchmarks cache what they generate."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "wyoming-faster-whisper-bench"


def model_directory(name: str) -> Path:
    """Return the directory of a model, which both servers accept as --model.

    Nothing is downloaded: the name is that of a directory, of a model in an installed package, or
    of one that is already in the cache.
    """
    cache = cache_directory()
    return locate(choose(name, [cache]), cache, local_files_only=True)
