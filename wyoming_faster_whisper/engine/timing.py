"""Times after which a model counts as hung, is unloaded, and is measured again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times of a model's lifecycle, in seconds."""

    decode_timeout: float = 0.0  # a longer decode counts as hung; 0 = never
    load_timeout: float = 0.0  # a load without progress for so long counts as hung; 0 = never
    unload_after: float = 0.0  # idle time until the weights are freed; 0 = never
    measure_after: float = 600.0  # from the load to the second measurement of the decode time
    check_files: float = 5.0  # between checks whether a model's files were replaced; 0 = never
    retire: float = 60.0  # without a job, until the old version of a replaced model is freed
    idle_time: float = 30.0  # without speech before a measurement may start
    # Returns the number of bytes that this process has read and written. They are the progress
    # of a load from a slow disk, or of a download.
    bytes_moved: Callable[[], int] = hardware.bytes_moved
