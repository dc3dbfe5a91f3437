"""A model directory for both servers: what this one finds, given to both."""

import os
from pathlib import Path

from wyoming_faster_whisper.models import choose, locate


def cache_directory() -> Path:
    """Where the benchmarks keep what they have made or joined."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "wyoming-faster-whisper-bench"


def model_directory(name: str) -> Path:
    """The directory of a model that both servers take as --model.

    Nothing is downloaded: the name is that of a directory, of a model in an
    installed package, or of one that is in the cache already.
    """
    cache = cache_directory()
    return locate(choose(name, [cache]), cache, local_files_only=True)
